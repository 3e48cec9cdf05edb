# Shared by the scripts here: Debian's libraries of either architecture in a folder of their own, so
# that nothing is installed and /etc/apt stays as it is. Needs tools/lib.sh.
# shellcheck shell=bash

work=$root/build-package

# The static libraries in the program, by the Debian package that has them.
static_packages=(libedit-dev libbsd-dev libmd-dev libncurses-dev libutf8proc-dev libssl-dev libc-ares-dev)
header_packages=(nlohmann-json3-dev libcli11-dev libboost1.74-dev)
test_packages=(libgtest-dev libgmock-dev googletest)
# Linked from the compiler's own folders; these have the licences.
documents_only=(libc6 libtinfo6 gcc-12-base)

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
  # shellcheck disable=SC2016  # apt-get's own variables
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
  (cd "$packages" && private_apt download "${static_packages[@]}" "${header_packages[@]}" \
    "${test_packages[@]}" "${documents_only[@]}") >"$log" 2>&1 || {
    show_log
    die "apt-get could not fetch the libraries for $deb_arch"
  }
  local package part
  for package in "$packages"/*.deb; do
    part=./usr
    [[ " ${documents_only[*]} " != *" $(basename "${package%%_*}") "* ]] || part=./usr/share/doc
    dpkg-deb --fsys-tarfile "$package" | tar -xC "$sysroot" "$part"
  done
  touch "$sysroot/complete"
}

# Debian's libcurl.a asks for libraries that have no static form (Kerberos, LDAP). This one, of the same
# source, knows HTTPS only. Names are looked up by c-ares, because the C library would load modules.
build_curl() {
  local source=$work/$architecture/curl
  [[ ! -e $source/complete ]] || return 0
  say "building libcurl for $architecture"
  rm -rf "$source"
  mkdir -p "$source"
  update_private_apt
  set_settings "$source"
  if ! {
    (cd "$source" && private_apt source --only-source curl) &&
      cmake -S "$source"/curl-*/ -B "$source/build" -G Ninja "${settings[@]}" \
        -DCMAKE_C_STANDARD_INCLUDE_DIRECTORIES="$sysroot/usr/include/$triple" \
        -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR="lib/$triple" \
        -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DHTTP_ONLY=ON -DENABLE_ARES=ON \
        -DCURL_USE_OPENSSL=ON -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none -DCURL_ZLIB=OFF -DCURL_USE_LIBPSL=OFF \
        -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF -DENABLE_UNIX_SOCKETS=OFF -DENABLE_MANUAL=OFF &&
      cmake --build "$source/build" -j "$jobs" &&
      DESTDIR=$sysroot cmake --install "$source/build" &&
      # Its own libcurl.pc names files of the build and shared libraries.
      sed -i -e "s|^libdir=.*|libdir=/usr/lib/$triple|" -e 's|^\(Libs: .* -lcurl\).*|\1|' \
        -e 's|^Libs.private:.*|Libs.private: -lcares -lssl -lcrypto|' "$sysroot/usr/lib/$triple/pkgconfig/libcurl.pc" &&
      touch "$source/complete"
  } >"$log" 2>&1 </dev/null; then
    show_log
    die "libcurl could not be built for $architecture"
  fi
}

# Sets `settings`: what CMake needs to know to build SOURCE for the sysroot. No path of this machine gets
# into the result.
set_settings() {
  local flags="-ffile-prefix-map=$1=. -ffile-prefix-map=$work/$architecture=."
  settings=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$root/tools/package/toolchain.cmake"
    -DAIRA_ARCHITECTURE="$architecture" -DAIRA_SYSROOT="$sysroot"
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_ASM_FLAGS="$flags")
}

# Gets the libraries for x86_64 or aarch64 and sets `settings` for the static program.
prepare_static() {
  choose_architecture "$1"
  local compiler=(g++)
  [[ $architecture == "$(uname -m)" ]] || compiler=("g++-${triple//_/-}" qemu-user-static)
  install_packages cmake ninja-build pkg-config gettext dpkg-dev "${compiler[@]}" || return 1
  fill_sysroot
  build_curl
  set_settings "$root"
  settings+=(-DAIRA_STATIC=ON -DCMAKE_UNITY_BUILD=ON)
}
