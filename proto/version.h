/* The version of the conversation and of the release.
 *
 * The major number changes when an old peer would misunderstand a new one, the minor number when
 * something was added that an old peer may ignore.  The layout of the shared bytes has a number of
 * its own (SLABD_LAYOUT_VERSION in shm/layout.h). */
#ifndef PROTO_VERSION_H
#define PROTO_VERSION_H

#define PROTO_MAJOR 1
#define PROTO_MINOR 0

#define SLABD_VERSION_STRING "0.1.0"

#endif
