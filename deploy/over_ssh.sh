# shellcheck shell=sh
# Sourced by install.sh, rollback.sh and push-model.sh: one connection to a module, over which steps
# run as root there. The sourcing script sets `here` (its folder), and `dry_run` to --dry-run where
# that is asked for.
# The environment variable SSH holds the ssh command, with options if need be.

ssh_command=${SSH:-ssh}
connection=''
sudo=''
host=''
dry_run=''
steps=on_module.sh

fail() {
  echo "error: $*" >&2
  exit 1
}

wrong() {
  echo "error: $*" >&2
  echo "${usage:?}" >&2
  exit 2
}

# A line that tells what begins.
step() {
  echo "step: $*" >&2
}

# connect HOST: one connection for all that follows, so that a password is asked for once. Sets host
# and sudo. Fails when the host cannot be reached, or gives no root.
connect() {
  host=$1
  temporary=${TMPDIR:-/tmp}
  # The path of a socket may have 104 bytes, of which ssh wants 17 for itself.
  [ ${#temporary} -le 60 ] || temporary=/tmp
  connection=$(mktemp -d "$temporary/llm_llm.XXXXXX") || exit 1
  user=$(on_host 'id -u' </dev/null 2>"$connection/said") || explain_no_connection
  case "$user" in
    0) return ;;
    '' | *[!0-9]*) fail "$host said '$user' to id -u: its shell must print nothing of its own" ;;
  esac
  on_host 'sudo -n true' </dev/null 2>"$connection/said" || {
    cat "$connection/said" >&2
    fail "$host gives no root without a password, and nothing was changed. Use root@..., or there:
  echo \"\$USER ALL=(ALL) NOPASSWD: ALL\" | sudo tee /etc/sudoers.d/llm_llm"
  }
  sudo='sudo -n'
}

explain_no_connection() {
  cat "$connection/said" >&2
  case "$(cat "$connection/said")" in
    *'IDENTIFICATION HAS CHANGED'*)
      fail "$host has another host key than the one known here, and nothing was changed. If it was
  set up anew: ssh-keygen -R ${host##*@}; if not, it may be another machine." ;;
    *'ermission denied'*)
      fail "$host does not let your key in, and nothing was changed. Once: ssh-copy-id $host" ;;
    *) fail "cannot reach $host by ssh, and nothing was changed" ;;
  esac
}

# on_host COMMAND: through the connection, which is made if need be.
on_host() {
  # shellcheck disable=SC2086  # a command with options
  $ssh_command -o ControlMaster=auto -o "ControlPath=$connection/ssh" -o ControlPersist=60 \
    -o ConnectTimeout=10 "$host" "$1"
}

# remote STEP [ARGUMENT...]: a step of the script named by `steps`. Arguments have no spaces.
remote() {
  cat "${here:?}/on_module_base.sh" "$here/$steps" | on_host "$sudo sh -s -- $dry_run $*"
}

# send FILE PATH: FILE as PATH there.
send() {
  if [ -n "$dry_run" ]; then
    echo "would run: ssh $host '$sudo sh -c \"cat >$2\"' <$1"
  else
    on_host "$sudo sh -c 'cat >$2'" <"$1" || fail "$1 did not get to $host:$2"
  fi
}

disconnect() {
  [ -n "$connection" ] || return 0
  # shellcheck disable=SC2086
  $ssh_command -o "ControlPath=$connection/ssh" -O exit "$host" 2>/dev/null || true
  rm -rf "$connection"
}

# checksum FILE: its SHA-256, with what Linux or macOS has.
checksum() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi |
    cut -d ' ' -f 1
}

# bytes FILE
bytes() {
  echo $(($(wc -c <"$1")))
}
