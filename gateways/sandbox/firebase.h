#ifndef RELI_GATEWAYS_SANDBOX_FIREBASE_H
#define RELI_GATEWAYS_SANDBOX_FIREBASE_H

#include "gateways/sandbox/sandbox_int.h"

/* Firebase Authentication as far as a gateway sees it: a set of public keys that rotates, in both
 * of its forms, and ID tokens, right ones and any wrong one. */
extern const struct sandbox_provider firebase_provider;

#endif
