#!/bin/sh
# Goes back to what was on a module before an installation by install.sh.
set -eu

usage='usage: deploy/rollback.sh [OPTION...] [USER@]HOST
  --to DATE   what was there before the installation of that date (default: the latest; again: the
              one before)
  --list      print the dates there are
  --port N    where llm-sys listens on the module (default: 10001)
  --wait SECONDS  how long the unit may take to answer (default: 30)
  --dry-run   print what would be changed, change nothing
Exit status: 0 restored and answering (or there was no unit then); 1 not; 2 wrong usage.
The environment variable SSH holds the ssh command (default: ssh).'

here=$(cd "$(dirname "$0")" && pwd)
target='' date='' list='' port=10001 seconds=30
# shellcheck source=deploy/over_ssh.sh
. "$here/over_ssh.sh"

while [ $# -gt 0 ]; do
  case "$1" in
    --to | --port | --wait)
      [ $# -gt 1 ] || wrong "$1 needs a value"
      case "$1" in --to) date=$2 ;; --port) port=$2 ;; --wait) seconds=$2 ;; esac
      shift ;;
    --list) list=$1 ;;
    --dry-run) dry_run=$1 ;;
    --help) echo "$usage"; exit 0 ;;
    -*) wrong "'$1' is not understood" ;;
    *) [ -z "$target" ] || wrong "one HOST, not $target and $1"; target=$1 ;;
  esac
  shift
done
[ -n "$target" ] || wrong "which HOST?"
case "$port$seconds" in
  *[!0-9]*) wrong "--port and --wait take numbers, not '$port' and '$seconds'" ;;
esac
case "$date" in *[!0-9TZ-]*) wrong "--to takes a date as --list prints it, not '$date'" ;; esac

trap disconnect EXIT
trap 'exit 1' HUP INT TERM
step "connect to $target"
connect "$target"
if [ -n "$list" ]; then
  remote list
  exit
fi
step "repair"
repaired=$(remote repair)
# What an installation has left that did not come to its end is what there was to go back from.
if [ -z "$repaired" ] || [ -n "$date" ]; then
  [ -n "$date" ] || date=$(remote newest)
  step "restore $date"
  remote restore "$date"
fi
if [ -z "$dry_run" ]; then
  step "wait for answers"
  remote answers "$port" "$seconds"
  echo "restored what was there before ${date:-$repaired}"
fi
