"""gdb's view of a process that uses slabd, or of its core: what it has open, what its threads hold, and
whose an object is.  gdb loads this by itself with libslabd where it was installed below /usr; elsewhere:

    source PREFIX/share/gdb/auto-load/.../libslabd.so.VERSION-gdb.py

Wants libslabd's debug information.  A core has the pool's memory only if the process ran with
SLABD_DUMP=1: see libslabd(3)."""

import gdb

REF_SHIFT = 4
UNIT_SHIFT = 16
EXTENT_SHIFT = 21
RACK_MAGAZINES = 64
PAGE_BYTES = 4096
DAEMON = 1
CACHE_LIVE = 1
OWNER_STATES = {0: "EMPTY", 1: "FULL", 2: "HELD"}
TAG_STATES = {0: "SLAB", 1: "CIRC", 2: "LIVE", 3: "FREEING"}
FLAGS = {1: "reclaim", 2: "strict", 4: "hwalign"}


def number(data):
    return int.from_bytes(data, "little")


def memory(address, n):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, n))
    except gdb.MemoryError:
        raise gdb.GdbError(
            "%#x: no such memory here. A core has the pool only of a process with SLABD_DUMP=1." % address)


def word(address):
    return number(memory(address, 4))


def text(address, n):
    return memory(address, n).split(b"\0")[0].decode("ascii", "replace")


def variable(name):
    for objfile in gdb.objfiles():
        if objfile.lookup_global_symbol("caches_of_process") is None:
            continue
        symbol = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
        if symbol is not None:
            return symbol.value()
    raise gdb.GdbError("no libslabd with debug information here (Debian: libslabd0-dbgsym)")


def chain(value, link="next"):
    while int(value):
        yield value.dereference()
        value = value[link]


class Cache:
    """A cache of a segment, by its descriptor in the catalog; open in this process or not."""

    def __init__(self, segment, ident):
        descriptor = segment["descriptors"][ident]
        self.id = ident
        self.state = int(descriptor["state"])
        self.name = text(int(descriptor["name"].address), 64)
        geometry = descriptor["geometry"]
        self.size = int(geometry["object_size"])
        self.stride = int(geometry["stride"])
        self.flags = int(geometry["flags"])
        self.last = (int(geometry["objects"]) - 1) * (int(geometry["stride"]) >> REF_SHIFT)
        self.capacity = int(geometry["capacity"])
        self.magazine_bytes = int(geometry["magazine_bytes"])
        self.slab_shift = int(geometry["slab_shift"])
        self.masks = tuple(int(geometry[f]) for f in ("tag_base_mask", "tag_mask", "tag_shift", "tag_offset"))
        self.heap = int(segment["heap"])
        self.racks = int(descriptor["racks"])
        self.rack_table = int(segment["catalog"]) + int(segment["super"]["rack_table"]) + \
            4 * int(segment["max_racks"]) * ident
        self.rack_area = int(segment["depot"]) + int(segment["super"]["racks"])

    def tag(self, ref):
        base, mask, shift, offset = self.masks
        return word(self.heap + ((ref & base) << REF_SHIFT) + (((ref & mask) >> shift) << 2) + offset)

    def magazine_with(self, ref):
        """The magazine that has ref: (owner word, count, its place), or None."""
        for rack in range(self.racks):
            page = word(self.rack_table + 4 * rack)
            if not page:
                continue
            start = self.rack_area + (page - 1) * PAGE_BYTES
            rounds = memory(start, RACK_MAGAZINES * self.magazine_bytes)
            for i in range(RACK_MAGAZINES):
                magazine = rounds[i * self.magazine_bytes:(i + 1) * self.magazine_bytes]
                count = min(number(magazine[8:12]), self.capacity)
                for place in range(count):
                    if number(magazine[16 + 4 * place:20 + 4 * place]) == ref:
                        return number(magazine[:8]), count, place
        return None


class Segment:
    """An attachment of the process."""

    def __init__(self, slabd):
        self.value = slabd["segment"]
        self.heap = int(self.value["heap"])
        self.bytes = int(self.value["heap_bytes"])
        self.me = int(slabd["identity"].dereference()["client"])
        self.socket = text(int(slabd["address"]["socket"].address), 108)
        self.name = text(int(slabd["address"]["segment"].address), 64)

    def party(self, party):
        if party == self.me:
            return "this process (client %d)" % party
        if party == DAEMON:
            return "slabd"
        return "client %d (slabctl clients, slabctl orphans say who that is)" % party

    def cache_of(self, offset):
        """The cache and the first offset of the slab that offset lies in; None: it lies in none."""
        unit = offset >> UNIT_SHIFT
        table = int(self.value["slab_table"])
        for shift in range(UNIT_SHIFT, EXTENT_SHIFT + 1):
            first = unit & ~((1 << (shift - UNIT_SHIFT)) - 1)
            found = word(table + 4 * first)
            if found and found >> 8 & 0xFF == shift:
                return Cache(self.value, found >> 16), first << UNIT_SHIFT
        return None


def segments():
    return [Segment(slabd) for slabd in chain(variable("attachments"))]


def open_caches():
    """(slabd_cache, its Segment) of each cache that the process has open."""
    array = variable("caches_of_process")
    pointers = memory(int(array.address), array.type.sizeof)
    known = {segment.heap: segment for segment in segments()}
    for i in range(0, len(pointers), 8):
        address = number(pointers[i:i + 8])
        if address:
            cache = gdb.Value(address).cast(array[0].type).dereference()
            yield cache, known[int(cache["view"]["heap"])]


def tables():
    """(table, which thread's) of each thread that has allocated."""
    process = variable("process")
    found = []
    if not int(process):
        return found
    threads = {}
    chosen = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            threads[int(variable("slabd_fast_slots"))] = "thread %d" % thread.num
        except gdb.error:
            pass  # no thread-local storage to be had of this core
    if chosen is not None:
        chosen.switch()
    for table in chain(process["tables"]):
        slots = int(table["slots"].address)
        found.append((table, threads.get(slots, "table %#x" % int(table.address))))
    return found


def held(slot, which):
    """What a slot's magazine has: (count, next ref), or None."""
    address = int(slot[which])
    if not address:
        return None
    count = word(address + 8)
    return count, word(address + 16 + 4 * (count - 1)) if count else 0


class SlabdCommand(gdb.Command):
    """What this process, or core, has of slabd's pools."""

    def __init__(self):
        super().__init__("slabd", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class CachesCommand(gdb.Command):
    """The caches that this process has open: slabd caches"""

    def __init__(self):
        super().__init__("slabd caches", gdb.COMMAND_DATA)

    def invoke(self, arguments, from_tty):
        all_tables = tables()
        for segment in segments():
            print("%s%s, heap %#x, %d MiB, %s" % (
                segment.socket, "" if segment.name == "main" else "#" + segment.name, segment.heap, segment.bytes >> 20,
                "client %d" % segment.me if segment.me else "no client yet"))
        print("%-24s %5s %8s %8s %6s %8s  %s" % ("cache", "id", "size", "stride", "opens", "in mags", "flags"))
        for cache, segment in open_caches():
            geometry = cache["view"]["geometry"]
            slot = int(cache["slot"])
            rounds = "?"
            try:
                mine = [held(table["slots"][slot], which) for table, _ in all_tables
                        for which in ("loaded", "previous")]
                rounds = sum(magazine[0] for magazine in mine if magazine)
            except gdb.GdbError:
                pass  # a core without the pool
            flags = int(geometry["flags"])
            print("%-24s %5d %8d %8d %6d %8s  %s" % (
                text(int(cache["name"].address), 64), int(cache["view"]["id"]), int(geometry["object_size"]),
                int(geometry["stride"]), int(cache["opens"]), rounds,
                ",".join(name for bit, name in FLAGS.items() if flags & bit) or "-"))


class MagazinesCommand(gdb.Command):
    """The magazines that this process's threads hold: slabd magazines [CACHE]"""

    def __init__(self):
        super().__init__("slabd magazines", gdb.COMMAND_DATA)

    def invoke(self, arguments, from_tty):
        wanted = arguments.strip()
        rows = 0
        for table, thread in tables():
            for cache, segment in open_caches():
                name = text(int(cache["name"].address), 64)
                slot = table["slots"][int(cache["slot"])]
                if wanted not in ("", name) or not int(slot["live"]):
                    continue
                for which in ("loaded", "previous"):
                    magazine = held(slot, which)
                    if magazine is None:
                        continue
                    if not rows:
                        print("%-16s %-24s %-8s %6s %9s  %s" % (
                            "thread", "cache", "magazine", "index", "rounds", "next"))
                    rows += 1
                    print("%-16s %-24s %-8s %6d %9s  %s" % (
                        thread, name, which, int(slot[which + "_index"]),
                        "%d/%d" % (magazine[0], int(slot["capacity"])),
                        "%#x" % (segment.heap + (magazine[1] << REF_SHIFT)) if magazine[1] else "-"))
        if not rows:
            print("no thread holds a magazine" + (" of " + wanted if wanted else ""))


class ObjectCommand(gdb.Command):
    """Whose an object is, by pointer or by handle: slabd object EXPRESSION"""

    def __init__(self):
        super().__init__("slabd object", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, arguments, from_tty):
        if not arguments.strip():
            raise gdb.GdbError("slabd object: whose? Give a pointer or a handle.")
        given = int(gdb.parse_and_eval(arguments)) & (1 << 64) - 1
        attached = segments()
        if not attached:
            raise gdb.GdbError("this process is attached to no slabd")
        for segment in attached:
            if segment.heap <= given < segment.heap + segment.bytes:
                return self.tell(segment, given - segment.heap, None)
        if given >> 48:
            for segment in attached:
                offset = (given & 0xFFFFFFFF) << REF_SHIFT
                found = segment.cache_of(offset) if offset < segment.bytes else None
                if found and found[0].id == given >> 48:
                    return self.tell(segment, offset, given >> 32 & 0xFFFF)
        raise gdb.GdbError("%#x lies in no heap that this process has, and is no handle" % given)

    def tell(self, segment, offset, generation):
        found = segment.cache_of(offset)
        if found is None:
            print("%#x: in the heap of %s, in no slab" % (segment.heap + offset, segment.socket))
            return
        cache, slab = found
        at = offset - slab
        if at >> REF_SHIFT > cache.last + (cache.stride >> REF_SHIFT) - 1:
            print("%#x: past the last object of a slab of cache %s" % (segment.heap + offset, cache.name))
            return
        base = slab + at // cache.stride * cache.stride
        ref = base >> REF_SHIFT
        tag = cache.tag(ref)
        if base != offset:
            print("%#x: %d bytes into:" % (segment.heap + offset, offset - base))
        print("object   %#x, of cache %s (id %d), %d bytes" % (
            segment.heap + base, cache.name, cache.id, cache.size))
        state = tag >> 16 & 3
        print("state    %s, %s" % (TAG_STATES[state], self.whose(segment, cache, ref, state, tag >> 18)))
        print("handle   %#018x, generation %d" % (cache.id << 48 | (tag & 0xFFFF) << 32 | ref, tag & 0xFFFF))
        if generation is not None and (generation != tag & 0xFFFF or state != 2):
            print("stale    the handle given is of generation %d: that object was freed" % generation)

    def whose(self, segment, cache, ref, state, owner):
        if state == 0:
            return "free, in its slab"
        if state == 2:
            return "owned by " + segment.party(owner)
        if state == 3:
            return "being freed by " + segment.party(owner)
        magazine = cache.magazine_with(ref)
        if magazine is None:
            return "free, in no magazine just now"
        holder = "in the depot"
        if magazine[0] >> 62 == 2:
            holder = "held by " + segment.party(magazine[0] >> 48 & 0x3FFF)
        return "free, round %d of %d of a magazine %s" % (magazine[2] + 1, magazine[1], holder)


SlabdCommand()
CachesCommand()
MagazinesCommand()
ObjectCommand()
