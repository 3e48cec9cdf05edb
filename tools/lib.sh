# Shared by tools/run and tools/test: finds the checkout, installs missing packages, configures and
# builds. All messages go to stderr; no command started here reads stdin.
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

# Whether what Debian's package $1 provides is installed, from any source.
present() {
  case $1 in
    chromium | cmake | pkg-config | python3 | clang-format-14 | clang-tidy-14) have "$1" ;;
    clang-14) have clang++-14 ;;
    libclang-rt-14-dev) [[ -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-$(uname -m).a ]] ;;
    llvm-14) have llvm-cov-14 && have llvm-profdata-14 ;;
    dpkg-dev) have dpkg-source ;;
    g++-*-linux-gnu) have aarch64-linux-gnu-g++ ;;
    qemu-user-static) have qemu-aarch64-static ;;
    gettext) have msgfmt ;;
    g++) have c++ || have g++ ;;
    ninja-build) have ninja || have make ;;
    nlohmann-json3-dev) pkg-config --exists nlohmann_json 2>/dev/null ;;
    libcli11-dev) pkg-config --exists CLI11 2>/dev/null || [[ -e /usr/include/CLI/CLI.hpp ]] ;;
    libutf8proc-dev) pkg-config --exists libutf8proc 2>/dev/null ;;
    libedit-dev) pkg-config --exists libedit 2>/dev/null ;;
    libboost-dev) [[ -e /usr/include/boost/beast.hpp || -e /usr/local/include/boost/beast.hpp ]] ;;
    libmd-dev) pkg-config --exists libmd 2>/dev/null ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl 2>/dev/null ;;
    libgtest-dev) pkg-config --exists gtest 2>/dev/null ;;
    libgmock-dev) pkg-config --exists gmock 2>/dev/null ;;
    *) die "present() does not know the package $1" ;;
  esac
}

# Prints the missing packages, one per line.
missing_of() {
  local package
  for package; do present "$package" || printf '%s\n' "$package"; done
}

# Installs the missing packages; false if any cannot be installed.
install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_of "$@")
  ((${#missing[@]})) || return 0
  if ! have apt-get; then
    say "missing packages (Debian names): ${missing[*]}; apt-get is not available to install them"
    return 1
  fi
  if ((EUID != 0)); then
    if ! have sudo; then
      say "missing packages; run as root: apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
    [[ -t 2 && -z ${CI:-} ]] || as_root+=(-n) # nobody can type a password
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
  libedit-dev libmd-dev libcurl4-openssl-dev libboost-dev gettext)

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

# build FOLDER TARGETS [SENTENCE]: builds the targets (separated by spaces) and shows the output only
# on failure. The sentence is printed once something needs compiling.
build() {
  local sentence=${3:-} line targets
  read -ra targets <<<"$2"
  cmake --build "$root/$1" --target "${targets[@]}" -j "$jobs" </dev/null 2>&1 | while IFS= read -r line; do
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
