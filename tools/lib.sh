# Shared by tools/run and tools/test: finds the checkout, installs what is missing, configures and
# builds. Everything it says goes to stderr; nothing it starts reads stdin.
# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that source this file

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
jobs=$(nproc)
tool=tools/${0##*/}

say() { printf '%s: %s\n' "$tool" "$*" >&2; }
die() {
  say "$*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Is what Debian's package $1 brings there, from whatever source?
present() {
  case $1 in
    cmake | pkg-config | python3 | clang-format-14 | clang-tidy-14) have "$1" ;;
    g++) have c++ || have g++ ;;
    ninja-build) have ninja || have make ;;
    nlohmann-json3-dev) pkg-config --exists nlohmann_json 2>/dev/null ;;
    libcli11-dev) pkg-config --exists CLI11 2>/dev/null || [[ -e /usr/include/CLI/CLI.hpp ]] ;;
    libutf8proc-dev) pkg-config --exists libutf8proc 2>/dev/null ;;
    libedit-dev) pkg-config --exists libedit 2>/dev/null ;;
    libgtest-dev) pkg-config --exists gtest 2>/dev/null ;;
    libgmock-dev) pkg-config --exists gmock 2>/dev/null ;;
    *) die "no check for the package $1" ;;
  esac
}

# Prints those of the packages that are missing, one a line.
missing_of() {
  local package
  for package; do present "$package" || printf '%s\n' "$package"; done
}

# Installs the missing ones of the packages; false when some cannot be had.
install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_of "$@")
  ((${#missing[@]})) || return 0
  if ! have apt-get; then
    say "missing: ${missing[*]} (Debian's package names); there is no apt-get here to install them"
    return 1
  fi
  if ((EUID != 0)); then
    if ! have sudo; then
      say "missing: ${missing[*]}; to install them, run as root: apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
    [[ -t 2 && -z ${CI:-} ]] || as_root+=(-n) # nobody there to type a password
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c '
    apt-get update -qq || true
    exec apt-get install -qq -y --no-install-recommends "$@"' sh "${missing[@]}" \
    </dev/null >"$log" 2>&1 || show_log
  mapfile -t missing < <(missing_of "$@")
  ((${#missing[@]})) || return 0
  say "could not install ${missing[*]}"
  return 1
}

log=$(mktemp "${TMPDIR:-/tmp}/aira-tools.XXXXXX")
trap 'rm -f "$log"' EXIT
show_log() { tail -n 60 "$log" >&2; }

build_packages=(cmake g++ ninja-build pkg-config nlohmann-json3-dev libcli11-dev libutf8proc-dev
  libedit-dev)

# configure FOLDER [-DNAME=VALUE]...: (re)configures root/FOLDER.
configure() {
  local folder=$root/$1 generator=() fresh=() home
  shift
  have ninja && generator=(-G Ninja)
  if [[ -e $folder/CMakeCache.txt ]]; then
    generator=()
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$folder/CMakeCache.txt")
    [[ $home -ef $root ]] || { # the checkout was moved or copied
      fresh=(--fresh)
      have ninja && generator=(-G Ninja)
    }
  fi
  cmake -S "$root" -B "$folder" "${fresh[@]}" "${generator[@]}" "$@" </dev/null >"$log" 2>&1 || {
    show_log
    die "cmake could not configure $folder"
  }
}

# build FOLDER TARGET [SENTENCE]: builds it, with the output shown only when that fails. The sentence
# is said as soon as something is found to be compiled.
build() {
  local sentence=${3:-} line
  cmake --build "$root/$1" --target "$2" -j "$jobs" </dev/null 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    if [[ -n $sentence && $line == *"] Building "* ]]; then
      say "$sentence"
      sentence=
    fi
  done >"$log" || {
    show_log
    die "building $2 in $1 failed"
  }
}
