#!/bin/sh
# enter ROOT WORKSPACE PROGRAM [ARGUMENT…]
#
# Run PROGRAM of the system under ROOT, as if it were installed here: it sees
# this machine's processes, devices and temporary files and this workspace, all
# by their usual paths, and the same environment. Every step replaces the one
# before, so that signals and the exit code pass through.
set -eu

case $(id -u) in
    0) rights= ;;
    *) rights=--map-root-user ;;
esac

# shellcheck disable=SC2016,SC2086 # the inner shell expands; no rights, no word
exec unshare --mount $rights sh -euc '
    root=$1 workspace=$2
    shift 2

    # A sandboxed build needs / to be a mount point.
    mount --bind "$root" "$root"

    # The workspace comes first: it holds ROOT, and binding it later would bind
    # a second time whatever is mounted there by then.
    for folder in "$workspace" /proc /dev /sys /tmp; do
        mount --rbind "$folder" "$root$folder"
    done

    # Elsewhere a folder of the same name is another one. Links may lead there.
    cd -P .
    case $PWD/ in
        "$workspace"/* | /proc/* | /dev/* | /sys/* | /tmp/*) here=$PWD ;;
        *) here=/ ;;
    esac

    # The PATH outside may lead back to the wrappers, or to nothing in there.
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
    export PATH

    exec chroot "$root" env --chdir="$here" "$@"
' sh "$@"
