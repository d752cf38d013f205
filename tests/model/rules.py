"""The rules of the protocol, each in one sentence; a world that breaks one of them comes to a wrong end."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias


class Rule(Enum):
    """What the engine promises of a stream, its tables and their readings; each one is needed."""

    # Fence.
    EPOCH = "a commit of the stream holds only while nobody has raised the epoch since its writer took over"
    SEQUENCE = "a commit of the stream holds only on the commit that it was built on"
    SEIZE_BEFORE_POSITION = "the position is read with the epoch already raised"
    START_ONCE = "a stream that has a row by now is not started a second time"
    FENCE_RESTART = "a stream is put at a new start only by the writer whose turn it still is"
    CLAIM_SLICE = "a chunk commits only while nobody else has claimed its slice"
    RESUME_AFTER_CLAIM = "how far a slice was read is asked after it is claimed"
    OPEN_AT_COMMIT = "a chunk commits only into a reading that is still open, asked under the table's lock"
    # Cut and position.
    POSITION_WITH_ROWS = "the position commits with the rows that it stands for"
    # Tables set aside.
    PLACE_AT_START = "a table is set aside at the start of the cut that it is left out of"
    KEEP_PLACE = "a table that fails as it comes back stays at its own place"
    JOIN_COMPLETE = "a table takes part only from a cut on before which it misses nothing"
    SKIP_PASSED = "a cut that ends before the table's place is not applied to it"
    PLACE_WITH_ROWS = "the table's place commits with the rows that it caught up with"
    SAVE_BEFORE_READMIT = "the stream's place is saved before a table is covered anew from there"
    READ_ANEW = "a table whose place is gone is covered anew and read again"
    READ_WITH_COVERAGE = "a table is covered anew and its reading opened in one transaction"
    END_OLDER_READINGS = "readings that were open before the table was covered end with that transaction"
    # Readings.
    SKIP_NEWER = "a chunk leaves rows alone that were written after its basis"
    HEED_TOMBSTONES = "a chunk leaves keys alone that were deleted after its basis"
    BURY_ALWAYS = "while a table is read, every deleted key leaves a tombstone, whether or not a row was there"
    HEED_LETTERS = "a chunk leaves keys alone that were quarantined whole after its basis"
    BASIS_BEFORE_READ = "the basis is noted before the chunk is read"
    READ_UP_TO_DATE = "a chunk reads nothing older than what the stream had committed at its basis"
    READ_PAST_PLACE = "a chunk of a table that is ahead of its stream reads nothing older than the table's place"
    READ_ALL_SLICES = "rows are stale only where all slices of a reading are done"
    REMOVE_STALE = "rows that no chunk saw are removed when the reading closes"
    SPARE_NEWER = "rows written since the reading opened are not stale"
    SPARE_QUARANTINED = "a key that was read and quarantined counts as seen"
    RESTART_WHEN_LOST = "with a new start of the stream all slices are read again"
    LOAD_WHEN_COVERED = "a table that is covered and not loaded gets a reading at the start of its stream"
    RESTED_FIRST = "readings that rested too long end before the tables that need one are looked for"
    REPAIR_KEEPS = "a repair removes no row but those whose keys it read to be absent"
    REPAIR_SPARES_NEWER = "a repair deletes no row that was written after its basis"
    REPAIR_BURIES_NOT = "a repair leaves no tombstones: what it read says nothing of what came since its basis"
    # Dead letters.
    SUPERSEDE = "a later write or delete of a key settles its letter in the same transaction"
    SUPERSEDE_UNSEEN = "letters older than a whole reading are settled when it closes"
    STILL_PENDING = "a replay writes only where its letter is still pending under the lock"
    KEEP_AGE = "what a replay writes is as old as its letter"
    RETRY_CHILDREN = "a row that waits for its parent is tried again"


Rules: TypeAlias = frozenset[Rule]
ALL_RULES: Rules = frozenset(Rule)
