# packages.sh - the Debian packages Sluice is built from and tested with; sourced by tests/run.sh and examples/quickstart.sh.

packages_build=(gcc libc6-dev make cmake pkg-config libluajit-5.1-dev libcurl4-openssl-dev libevent-dev libjansson-dev
  liblmdb-dev zlib1g-dev libzstd-dev libsodium-dev libssl-dev libseccomp-dev)
packages_test=(g++ libcmocka-dev libsimdjson-dev clang libclang-rt-14-dev nodejs)

packages_has() {
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Installs those of the packages that are missing; asks for root only then.
packages_install() {
  local missing=() root=() package
  for package in "$@"; do
    packages_has "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || root=(sudo)
  echo "installing ${missing[*]}"
  "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}
