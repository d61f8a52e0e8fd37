#ifndef RELI_PROVE_H
#define RELI_PROVE_H

/* Proofs over the whole database: exit code 0 if all is right, 1 with the first wrong rows named, 2
 * for wrong usage. */

/* `reli ledger prove`: recomputes every balance and what payments say they received. */
int prove_ledger(int argc, char **argv);
/* `reli audit verify [--head MERCHANT:N:HASH]`: recomputes the hash chain; a head that was logged
 * finds a tail cut off. */
int prove_audit(int argc, char **argv);
/* `reli replay --verify`: rebuilds every payment from its events alone. */
int prove_replay(int argc, char **argv);

#endif
