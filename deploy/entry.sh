#!/bin/sh
# What a container runs: Dagster's own commands as they are, everything else as `cartridge-warp ...`.
case "$1" in
    dagster | dagster-webserver | dagster-daemon) exec "$@" ;;
    *) exec cartridge-warp "$@" ;;
esac
