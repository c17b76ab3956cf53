/* Where slabd is: SOCKET or SOCKET#SEGMENT. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include <stddef.h>

struct address {
	char socket[108];
	char segment[64]; /* "main" if none was named */
};

/* given NULL or empty: $SLABD_ADDRESS, else $XDG_RUNTIME_DIR/slabd/slabd.sock (not root), else
 * /run/slabd/slabd.sock.  0; -EINVAL or -ENAMETOOLONG with a sentence in why. */
int address_resolve(struct address *ret, const char *given, char *why, size_t why_bytes);

#endif
