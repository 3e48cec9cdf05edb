# Shared by the scripts here: Debian's libraries of either architecture in a folder of their own, so
# that nothing is installed and /etc/apt stays as it is. Needs tools/lib.sh.
# shellcheck shell=bash

work=$root/build-package

# The static libraries in the program, by the Debian package that has them.
static_packages=(libedit-dev libbsd-dev libmd-dev libncurses-dev libutf8proc-dev libssl-dev libc-ares-dev)
header_packages=(nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev googletest)

# choose_architecture x86_64|aarch64: sets `architecture`, Debian's name `deb_arch` for it, `triple`.
choose_architecture() {
  architecture=$1
  case $architecture in
    x86_64) deb_arch=amd64 ;;
    aarch64) deb_arch=arm64 ;;
    *) die "unknown architecture '$architecture': expected x86_64 or aarch64" ;;
  esac
  triple=$architecture-linux-gnu
  sysroot=$work/$architecture/sysroot
}

# private_apt ARGS...: apt-get with the machine's Debian sources, sources of packages included, for
# deb_arch only.
private_apt() {
  local state=$work/apt-$deb_arch
  apt-get -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o APT::Architecture="$deb_arch" \
    -o APT::Architectures="$deb_arch" -o APT::Sandbox::User="" "$@"
}

update_private_apt() {
  local state=$work/apt-$deb_arch targets
  have apt-get || die "needs Debian's apt-get to fetch the libraries of $deb_arch"
  mkdir -p "$state/lists/partial" "$state/archives/partial"
  : >"$state/status"
  targets=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | sort -u)
  [[ -n $targets ]] || die "apt knows no source of Debian packages: run apt-get update"
  sed 's/.*/deb &\ndeb-src &/' <<<"$targets" >"$state/sources.list"
  private_apt update >"$log" 2>&1 || {
    show_log
    die "apt-get could not read the lists of $deb_arch packages"
  }
}

# Unpacks the libraries for `architecture` into `sysroot`, once.
fill_sysroot() {
  [[ ! -e $sysroot/complete ]] || return 0
  say "fetching Debian's libraries for $deb_arch"
  update_private_apt
  local packages=$work/$architecture/packages
  rm -rf "$sysroot" "$packages"
  mkdir -p "$sysroot" "$packages"
  (cd "$packages" && private_apt download "${static_packages[@]}" "${header_packages[@]}") >"$log" 2>&1 || {
    show_log
    die "apt-get could not fetch the libraries for $deb_arch"
  }
  local package
  for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
  touch "$sysroot/complete"
}
