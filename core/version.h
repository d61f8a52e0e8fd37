#ifndef RELI_VERSION_H
#define RELI_VERSION_H

/* As git describes the sources. */
extern const char *const reli_version;

#endif
