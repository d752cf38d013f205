"""Asks BigQuery: queries and load jobs that happen exactly once, and the free requests for tables and their rows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import IO, Any, TypeAlias, TypeVar

import google.auth
import structlog
from google.api_core import exceptions as api
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter
from google.cloud.bigquery.job import LoadJob, QueryJob

from warp_resources.connectors.bigquery.errors import is_lost_answer, translated
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.errors import ConnectionLost, Unreachable, WarpError

Answer = TypeVar("Answer")
Parameter: TypeAlias = ScalarQueryParameter | ArrayQueryParameter
Job = TypeVar("Job", QueryJob, LoadJob)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_FIRST_POLL, _LONGEST_POLL = 0.1, 2.0
_LOST_ANSWER_SECONDS = 30.0
"""How long the answer to one request is asked for again before the engine's own backoff takes over."""

ONCE: Any = None
"""Tries are counted here, where it is known what may be asked twice; the client's own would hide a lost answer."""

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]

log = structlog.get_logger(__name__)


class Session:
    """One client, made at first use. Used by one thread at a time."""

    def __init__(self, options: BigQueryOptions, *, job_timeout: float = 300.0) -> None:
        self._options = options
        self._job_timeout = timedelta(seconds=job_timeout)
        self._client: bigquery.Client | None = None
        self._names = (f"{uuid.uuid4().hex[:16]}_{number}" for number in count())

    def next_name(self, kind: str) -> str:
        """A name that nobody else gives anything, of letters, digits and ``_``."""
        return f"{kind}_{next(self._names)}"

    @property
    def project(self) -> str:
        return self._options.project_id

    @property
    def location(self) -> str | None:
        return self._options.place

    @property
    def client(self) -> bigquery.Client:
        """The client itself, for what has no method here; its errors are the caller's to translate."""
        if self._client is None:
            with translating("find the credentials"):
                self._client = _client(self._options)
        return self._client

    def run(
        self,
        script: str,
        parameters: Sequence[Parameter] = (),
        *,
        kind: str = "query",
        timeout: timedelta | None = None,
    ) -> list[Any]:
        """Run a statement or script as one job, exactly once; the rows of its last ``select``.

        A lost answer is asked for by the job's id, so that nothing runs twice. After an error the fence of the next try
        tells whether a transaction in it was committed: a job may run out of time behind its ``commit``.

        Args:
            kind: a word for the job's id, shown in the list of jobs.
            timeout: how long the job may take; default: as long as a transaction.

        Raises:
            Collision: another transaction was first.
            TransientError: nothing is committed, or the answer was lost for good: the fence of the next try decides.
            OperatorError: with BigQuery's own words.
        """
        limit = timeout or self._job_timeout
        timeout_ms = round(limit.total_seconds() * 1000)
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), job_timeout_ms=timeout_ms)
        job = self._query(script, config, kind)
        patience = self._options.connection_timeout
        return self._finished(
            job, lambda: list(job.result(retry=ONCE, job_retry=None, timeout=patience)), f"run a {kind} job", limit
        )

    def result_table(
        self, script: str, parameters: Sequence[Parameter] = (), *, kind: str, max_bytes: int | None = None
    ) -> str:
        """Run a query as one job and leave its rows where they are: in a table of its own that lasts for a day.

        Args:
            max_bytes: more than that is not read; the query is refused before it costs anything.

        Returns:
            The table, as ``projects/P/datasets/D/tables/T``.
        """
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), job_timeout_ms=self._timeout_ms)
        if max_bytes is not None:
            config.maximum_bytes_billed = max_bytes
        job = self._query(script, config, kind)
        patience = self._options.connection_timeout
        self._finished(
            job,
            lambda: job.result(retry=ONCE, job_retry=None, max_results=1, timeout=patience),
            f"run a {kind} job",
        )
        return str(job.destination.path).lstrip("/")

    def _query(self, script: str, config: bigquery.QueryJobConfig, kind: str) -> QueryJob:
        job_id = f"cartridge_warp_{kind}_{uuid.uuid4().hex}"

        def begin() -> QueryJob:
            return self.client.query(
                script,
                job_config=config,
                job_id=job_id,
                location=self._options.place,
                job_retry=None,
                retry=ONCE,
                timeout=self._options.connection_timeout,
            )

        return self._begun(begin, job_id, f"run a {kind} job")

    def query_bytes(self, script: str, parameters: Sequence[Parameter] = ()) -> int:
        """The bytes that a query would read, by a dry run, which is free."""
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), dry_run=True, use_query_cache=False)
        with translating("estimate a query"):
            patience = self._options.connection_timeout
            job = self.client.query(
                script, job_config=config, location=self._options.place, job_retry=None, timeout=patience
            )
            return int(job.total_bytes_processed or 0)

    def load(
        self, make_file: Callable[[], IO[bytes]], table: str, schema: Iterable[bigquery.SchemaField], job_id: str
    ) -> int:
        """Fill a new staging table from a Parquet file as the job of this very id, exactly once; its rows.

        Args:
            make_file: opens the file from its beginning.
            table: its full name, ``project.dataset.table``.
        """
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=list(schema),
            job_timeout_ms=self._timeout_ms,
        )

        def begin() -> LoadJob:
            return self.client.load_table_from_file(
                make_file(),
                table,
                job_id=job_id,
                job_config=config,
                location=self._options.place,
                num_retries=0,
                timeout=self._options.connection_timeout,
            )

        job = self._begun(begin, job_id, "load a staging table")
        self._finished(job, lambda: self._loaded(job), "load a staging table")
        return int(job.output_rows or 0)

    def rows(self, table: str, fields: Sequence[bigquery.SchemaField] = ()) -> list[Any]:
        """All rows of a small table as they are committed, without a job; none where there is no such table.

        Args:
            table: its full name, ``project.dataset.table``.
            fields: all that it has, in its order; default: they are asked for, which takes another request.
        """

        def listed() -> list[Any]:
            try:
                if fields:
                    read = self.client.list_rows(table, selected_fields=fields, retry=ONCE, timeout=self.patience)
                else:
                    # Not by the names of its fields: a request lists them between commas, and spaces are lost.
                    found = self.client.get_table(table, retry=ONCE, timeout=self.patience)
                    read = self.client.list_rows(found, retry=ONCE, timeout=self.patience)
                return list(read)
            except api.NotFound:
                return []

        return self.answered(listed, "list rows")

    def table(self, table: str) -> bigquery.Table | None:
        """What BigQuery knows of a table, without a job; None where there is none."""

        def found() -> bigquery.Table | None:
            try:
                return self.client.get_table(table, retry=ONCE, timeout=self._options.connection_timeout)
            except api.NotFound:
                return None

        return self.answered(found, "look at a table")

    def answered(self, ask: Callable[[], Answer], doing: str) -> Answer:
        """The answer to a request that may be asked again without harm."""
        for pause in _pauses():
            try:
                return ask()
            except WarpError:
                raise
            except Exception as error:
                if not is_lost_answer(error) or pause is None:
                    raise translated(error, doing) from error
                time.sleep(pause)
        raise AssertionError("the last pause is None")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()  # type: ignore[no-untyped-call]

    @property
    def patience(self) -> float:
        """Seconds to wait for the answer to one request."""
        return self._options.connection_timeout

    @property
    def job_timeout(self) -> timedelta:
        """How long one job may take."""
        return self._job_timeout

    @property
    def _timeout_ms(self) -> int:
        return round(self._job_timeout.total_seconds() * 1000)

    def _begun(self, begin: Callable[[], Job], job_id: str, doing: str) -> Job:
        for pause in _pauses():
            try:
                return begin()
            except api.Conflict:
                # An earlier try had got through, and only its answer was lost.
                known: Job = self._known(job_id, doing)
                return known
            except Exception as error:
                if not is_lost_answer(error) or pause is None:
                    raise translated(error, doing) from error
                log.warning("answer lost, asking again", job=job_id, reason=type(error).__name__)
                time.sleep(pause)
        raise AssertionError("the last pause is None")

    def _known(self, job_id: str, doing: str) -> Any:
        def found() -> Any:
            try:
                return self.client.get_job(job_id, location=self._options.place, retry=ONCE, timeout=self.patience)
            except api.NotFound as error:
                # It is in a location that only the lost answer named; whether it committed, the next fence tells.
                raise ConnectionLost("The answer of BigQuery was lost", doing=doing, job=job_id) from error

        return self.answered(found, f"{doing} that was begun")

    def _loaded(self, job: LoadJob) -> None:
        """Wait for a load job, looking more often at first than the client would."""
        pause = _FIRST_POLL
        while not job.done(retry=ONCE, timeout=self.patience):
            time.sleep(pause)
            pause = min(_LONGEST_POLL, pause * 1.5)
        job.result(retry=ONCE, timeout=self.patience)

    def _finished(self, job: Job, result: Callable[[], Answer], doing: str, limit: timedelta | None = None) -> Answer:
        """The result of a job that is under way: as long as it runs, and through answers that are lost meanwhile."""
        ends = time.monotonic() + (limit or self._job_timeout).total_seconds() + _LOST_ANSWER_SECONDS
        pauses, lost_at = _pauses(), 0.0
        while True:
            try:
                return result()
            except TimeoutError as error:
                # It takes longer than one request is waited for, or the request was left without an answer.
                if time.monotonic() > ends:
                    raise Unreachable("BigQuery does not say how a job ended", doing=doing, job=job.job_id) from error
            except Exception as error:
                if time.monotonic() - lost_at > _LOST_ANSWER_SECONDS:
                    pauses = _pauses()
                lost_at, pause = time.monotonic(), next(pauses)
                if job.error_result is not None or not is_lost_answer(error) or pause is None:
                    raise translated(error, doing) from error
                log.warning("answer lost, asking again", job=job.job_id, reason=type(error).__name__)
                time.sleep(pause)


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Lets the client's errors out as the engine's."""
    try:
        yield
    except (WarpError, GeneratorExit):
        raise
    except Exception as error:
        raise translated(error, doing) from error


def _pauses() -> Iterator[float | None]:
    """Seconds to wait before each further try, of which there is one however late the first ends; None: no more."""
    pause = _FIRST_PAUSE
    yield pause
    ends = time.monotonic() + _LOST_ANSWER_SECONDS
    while time.monotonic() + pause < ends:
        yield pause
        pause = min(_LONGEST_PAUSE, pause * 2)
    yield None


def credentials_of(options: BigQueryOptions) -> dict[str, Any]:
    """What a client is to be made with to use the options' credentials file; nothing where there is none."""
    if options.credentials_file is None:
        return {}
    credentials, _ = google.auth.load_credentials_from_file(  # type: ignore[no-untyped-call]
        options.credentials_file, scopes=_SCOPES
    )
    return {"credentials": credentials}


def _client(options: BigQueryOptions) -> bigquery.Client:
    its: dict[str, Any] = {"project": options.project_id, "location": options.place}
    if options.api_endpoint is not None:
        its["client_options"] = ClientOptions(api_endpoint=options.api_endpoint)
    if options.is_insecure:
        return bigquery.Client(credentials=AnonymousCredentials(), **its)  # type: ignore[no-untyped-call]
    its |= credentials_of(options)
    return bigquery.Client(**its)


def quoted(*parts: str) -> str:
    """A name of one or more parts as BigQuery's SQL spells it, whatever characters it has.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#quoted_identifiers
    """
    return ".".join("`" + _escaped(part) + "`" for part in parts)


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("`", "\\`").replace("\n", "\\n")
