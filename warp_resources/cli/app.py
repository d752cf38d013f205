"""The command ``cartridge-warp``: global flags, exit codes and the list of commands."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from types import TracebackType
from typing import Annotated, cast

import typer

from warp_resources.cli import (
    configuring,
    discovering,
    errors,
    exporting,
    history,
    initialising,
    planning,
    resyncing,
    running,
    status,
    verifying,
)
from warp_resources.cli.arguments import hoisted
from warp_resources.cli.demo import command as demo
from warp_resources.cli.letters import letters_app
from warp_resources.cli.marking import markers_app
from warp_resources.cli.state import State
from warp_resources.config.loading import is_debugging
from warp_resources.errors import ConfigurationError, WarpError
from warp_resources.masking import mask

EXIT_FAILED, EXIT_USAGE = 1, 2
# Typer brings its own copy of click, under a private name: this is that copy's UsageError.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

app = typer.Typer(
    name="cartridge-warp",
    help="Keeps databases in step: change streams and scheduled syncs.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(version("cartridge-warp"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="The file; default CARTRIDGE_WARP_CONFIG or warp.yaml.")] = None,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
    mode: Annotated[str | None, typer.Option(help="single or multi.")] = None,
    source: Annotated[str | None, typer.Option(help="The source's connection string.")] = None,
    destination: Annotated[str | None, typer.Option(help="The destination's connection string.")] = None,
    schema: Annotated[str | None, typer.Option(help="The schema to run; with --mode single the only one.")] = None,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Without a command, run what the configuration describes."""
    context.obj = State(config, debug, mode, source, destination, schema)
    if context.invoked_subcommand is None:
        if not (config or mode or source or destination or schema):
            typer.echo(context.get_help())
            raise typer.Exit(EXIT_USAGE)
        running.run(context)


app.command("init")(initialising.init)
app.command("validate")(configuring.validate)
app.command("discover")(discovering.discover)
app.command("plan")(planning.plan)
app.command("run")(running.run)
app.command("resync")(resyncing.resync)
app.command("verify")(verifying.verify)
app.command("status")(status.status)
app.add_typer(letters_app, name="dead-letters")
app.command("errors")(errors.errors)
app.add_typer(markers_app, name="markers")
app.add_typer(configuring.config_app, name="config")
app.command("schema-history")(history.schema_history)
app.command("schema")(configuring.schema)
app.command("exporter")(exporting.exporter)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point: one clear message and an exit code (L3), a traceback only where asked for."""
    arguments = hoisted(sys.argv[1:])
    debug = "--debug" in arguments
    sys.excepthook = _say_unexpected
    try:
        debug = debug or is_debugging()
        if debug:
            sys.excepthook = _show_unexpected
        code = typer.main.get_command(app)(args=arguments, prog_name="cartridge-warp", standalone_mode=False)
    except UsageError as error:
        # Click quotes what it does not understand, such as a URI without its `--source`.
        error.message = mask(
            error.message, [argument for argument in arguments if "@" in argument or "://" in argument]
        )
        error.show()
        sys.exit(EXIT_USAGE)
    except typer.Abort:
        typer.echo("Aborted!", err=True)
        sys.exit(EXIT_FAILED)
    except WarpError as error:
        if debug:
            typer.echo(mask(traceback.format_exc()), err=True)
        typer.echo(f"Error: {mask(str(error))}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _show_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    typer.echo(mask("".join(traceback.format_exception(kind, error, trace))), err=True)


def _say_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, KeyboardInterrupt):
        text = mask(str(error)).partition("\n")[0]
        typer.echo(f"Error: {kind.__name__}: {text}. Run it with --debug for the traceback, and report it", err=True)


if __name__ == "__main__":
    main()
