#!/usr/bin/env bash
# clean_root.sh MIRROR COMMAND...: run a command of this tree (./dev demo) in a bare Debian 12 with
# nothing but the base system and git, to see that the package lists in ./dev are complete.
# As root; needs debootstrap. The root is made once, in $ROOT (default /var/tmp/snug-root), and kept;
# remove it to start from nothing again. The tree is copied to /snug in it, without build folders.
set -euo pipefail
cd "$(dirname "$0")/.."
(($# >= 2)) || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
root=${ROOT:-/var/tmp/snug-root} mirror=$1
shift
[[ -x $root/usr/bin/git ]] ||
    debootstrap --variant=minbase --include=ca-certificates,git bookworm "$root" "$mirror"
cp /etc/resolv.conf "$root/etc/"
mkdir -p "$root/snug"
tools/lint/files | tar -cf - -T - | tar -xf - -C "$root/snug"
# own mount and process namespaces: nothing stays mounted or running behind
exec unshare --mount --pid --fork sh -euc '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        sh -euc "cd /snug; exec \"\$@\"" sh "$@"
' sh "$root" "$@"
