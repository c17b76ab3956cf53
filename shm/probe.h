/* Probes: places that perf, bpftrace, SystemTap and gdb find by name (provider slabd), with what they tell.
 * A probe that nobody watches is a nop, and without <sys/sdt.h> it is nothing.  docs/probes.md lists them.
 *
 * A file of fast paths defines SLABD_PROBES_FAST before it includes this: there even the nop is saved, and a
 * probe is a mark on whatever instruction follows.  So it must stand where nothing jumps to, and tell only
 * what is in registers anyway. */
#ifndef SHM_PROBE_H
#define SHM_PROBE_H

#ifdef SLABD_PROBES

#define STAP_SDT_ARG_CONSTRAINT nr /* clang would take "or memory" as a wish to spill */
#include <sys/sdt.h>

#ifdef SLABD_PROBES_FAST
#undef _SDT_NOP
#define _SDT_NOP
#endif

#define PROBE2(name, a, b)	    DTRACE_PROBE2(slabd, name, a, b)
#define PROBE3(name, a, b, c)	    DTRACE_PROBE3(slabd, name, a, b, c)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(slabd, name, a, b, c, d, e)

#else

#define PROBE2(name, a, b)	    ((void)(a), (void)(b))
#define PROBE3(name, a, b, c)	    ((void)(a), (void)(b), (void)(c))
#define PROBE5(name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))

#endif

#endif
