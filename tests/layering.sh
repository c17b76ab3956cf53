#!/bin/bash
# layering.sh [ROOT]: fails on an include that points the wrong way.
#
#   slabctl -> client -> { proto, shm }     daemon -> { proto, shm }     tests -> anything
#
# Only daemon/server.c, session.c, watch.c and client/exporter/http.c see libevent; protobuf's types stop
# at the doors (see `pb` below); demo and bench see what a user sees.
set -u
cd "${1:-.}" || exit 2
bad=0
files=0

fault() { echo "$1:$2: $3" >&2; bad=$((bad + 1)); }

# check FOLDER FILE QUOTED-PATTERN: every include of FILE against what its folder may see.
check() {
	local file=$1 quoted=$2 line text name
	files=$((files + 1))
	while IFS=: read -r line text; do
		if [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*\"([^\"]+)\" ]]; then
			name=${BASH_REMATCH[1]}
			[[ $name = slabd/* && $file =~ ^(client|tests)/ ]] && continue
			[[ $name =~ ^($quoted)$ ]] || fault "$file" "$line" "may not include \"$name\""
			[ -e "$name" ] || [ "$name" = proto/slabd.pb-c.h ] ||
				fault "$file" "$line" "\"$name\" is not a path from the root of the tree"
		elif [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*\<([^\>]+)\> ]]; then
			name=${BASH_REMATCH[1]}
			case $name in
			event2/* | event.h) [[ $file =~ ^(daemon/(server|session|watch)\.c|client/exporter/http\.c|tests/.*)$ ]] ||
				fault "$file" "$line" "libevent stays in daemon/{server,session,watch}.c and client/exporter/http.c" ;;
			protobuf-c/*) [[ $file =~ ^(proto/|tests/|$pb) ]] ||
				fault "$file" "$line" "protobuf stays behind the doors" ;;
			slabd/*) [[ $file =~ ^(client|tests)/ ]] ||
				fault "$file" "$line" "the public API is the client's" ;;
			jansson.h) [[ $file =~ ^(client/slabctl|client/exporter|tests)/ ]] ||
				fault "$file" "$line" "JSON is slabctl's and the exporter's" ;;
			ini.h) [[ $file =~ ^(daemon|tests)/ ]] ||
				fault "$file" "$line" "configuration is the daemon's" ;;
			esac
		fi
		if [[ $text =~ (slabd\.pb-c|slabctl/ask|slabctl/decode)\.h ]] && ! [[ $file =~ ^(proto/|tests/|$pb) ]]; then
			fault "$file" "$line" "protobuf stays behind the doors"
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file")
}

pb='daemon/dispatch[_a-z]*\.[ch]$|client/connection\.c$|client/slabctl/(query\.c|(ask|decode)\.[ch])$'
while read -r file; do
	case $file in
	shm/*) check "$file" 'shm/.*' ;;
	proto/*) check "$file" 'proto/.*' ;;
	client/exporter/*) check "$file" '(client/exporter|shm|proto)/.*|client/slabctl/(query|exits)\.h' ;;
	client/include/*) check "$file" '[^/]' ;; # installed: nothing of the tree goes with them
	client/*) check "$file" '(client|shm|proto)/.*' ;;
	daemon/*) check "$file" '(daemon|shm|proto)/.*' ;;
	tests/demo/*) check "$file" 'tests/demo/.*' ;;
	tests/bench/*) check "$file" 'tests/bench/.*' ;;
	tests/*) check "$file" '(tests|client|daemon|shm|proto)/.*' ;;
	esac
done < <(find shm proto client daemon tests -name '*.[ch]' | sort)

if [ "$files" -lt 10 ]; then echo "layering: only $files files found below $PWD" >&2; exit 2; fi
echo "layering: $files files, $bad wrong includes"
[ "$bad" = 0 ]
