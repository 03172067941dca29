# The Debian 12 packages that Unha needs, in one place. Sourced by ./quickstart and ./test.

build_packages=(g++ cmake ninja-build pkg-config git libfmt-dev nlohmann-json3-dev libcli11-dev libpcre2-dev
                libutf8proc-dev libssl-dev zlib1g-dev liblzma-dev libedit-dev)
test_packages=(libgtest-dev)

# say TEXT...: progress for people; standard output stays free for answers.
say() { echo "${0##*/}: $*" >&2; }

# install_packages NAME...: installs those that are missing, as root or through sudo; says what it does.
install_packages() {
  local missing=() name run=()
  if ! command -v apt-get >/dev/null; then
    say "this is no Debian: making do with the compilers and libraries at hand (needed: $*)"
    return
  fi
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "please run as root: apt-get install ${missing[*]}"; return 1; }
    run=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages with apt-get: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${run[@]}" apt-get update -q &&
         "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } \
       </dev/null >"$log" 2>&1; then
    tail -20 "$log" >&2
    say "apt-get failed (the whole log: $log)"
    return 1
  fi
  rm -f "$log"
}

# quietly LOG COMMAND...: its output goes to LOG and appears only if it fails; on a terminal ninja's [n/m] is shown.
quietly() {
  local log=$1 status=0
  shift
  "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  trap "kill $pid 2>/dev/null; exit 130" INT TERM
  if [ -t 2 ]; then
    while kill -0 $pid 2>/dev/null; do
      printf '\r\033[K%s' "$(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -1)" >&2
      sleep 0.5
    done
    printf '\r\033[K' >&2
  fi
  wait $pid || status=$?
  trap - INT TERM
  if [ $status != 0 ]; then
    tail -60 "$log" >&2
    say "failed: $* (the whole log: $log)"
  fi
  return $status
}
