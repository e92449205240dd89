#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME each (go test's -fuzztime: 60s, 5m, 100000x),
# one after the other, since each uses all cores. A target that fails leaves its input under its
# package's testdata/fuzz and does not stop the others. PACKAGES and MATCH narrow the choice.
#
#   FUZZTIME=60s PACKAGES=./wire/... MATCH='^FuzzValidate' scripts/fuzz.sh
#   scripts/fuzz.sh -list        only lists them: package and target
set -uo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
FUZZTIME=${FUZZTIME:-60s}
PACKAGES=${PACKAGES:-./...}
MATCH=${MATCH:-^Fuzz}

# shellcheck disable=SC2086 # PACKAGES may hold several patterns
dirs=$($GO list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' $PACKAGES) || exit 2
targets=()
for dir in $dirs; do
	# Compiling every package's tests is slow, so packages without the word are left out first.
	grep -qs '^func Fuzz' "$dir"/*_test.go || continue
	if ! names=$($GO test -list "$MATCH" "$dir"); then
		echo "fuzz: the tests in ${dir#"$PWD"/} do not build:" >&2
		echo "$names" >&2
		exit 2
	fi
	for name in $(grep '^Fuzz' <<<"$names"); do
		targets+=("$dir $name")
	done
done
if [ ${#targets[@]} = 0 ]; then
	echo "fuzz: no target matches" >&2
	exit 2
fi
if [ "${1:-}" = -list ]; then
	printf '%s\n' "${targets[@]}" | sed "s#^$PWD#.#"
	exit
fi

failed=()
for i in "${!targets[@]}"; do
	read -r dir name <<<"${targets[$i]}"
	echo "== $((i + 1))/${#targets[@]} ${dir#"$PWD"/} $name, $FUZZTIME"
	$GO test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "$dir" || failed+=("${dir#"$PWD"/} $name")
done
if [ ${#failed[@]} != 0 ]; then
	echo "fuzz: ${#failed[@]} of ${#targets[@]} targets failed:"
	printf '  %s\n' "${failed[@]}"
	exit 1
fi
echo "fuzz: ${#targets[@]} targets, nothing found"
