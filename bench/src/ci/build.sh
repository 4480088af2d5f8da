# One build of the graph: work, and an output that refers to what it needs.
set -eu
PATH=/bin:/usr/bin:/usr/local/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin
export PATH
left=$work
while [ "$left" -gt 0 ]; do
    number=0
    while [ "$number" -lt 3000 ]; do number=$((number + 1)); done
    left=$((left - 1))
done
mkdir "$out"
head -c "$((kib * 1024))" /dev/urandom >"$out/data"
echo "$needs ${input:-}" >"$out/needs"
