/*
 * Purpose: the kernel settings that a virtual MAC needs: which ones, what they were on the base interfaces, and when those
 *          get their old values back. PURE.
 * Owns:    struct sysctl_plan: one record per base interface.
 * Thread:  CONTROL; the record codec also on KERNEL.
 * In:      which bases are wanted, results of jobs, the record of an earlier process.
 * Out:     lists of settings to write; the next base whose settings are not as wanted.
 * Errors:  SYSCTL_BASES_MAX bases; more are counted in `full` and keep their settings. Decoding returns a named reason.
 *
 * The interface of a virtual MAC is ours and takes its settings with it when it goes. Those of its base belong to the
 * administrator: the old values are on disk before the new ones are set, and come back when the last virtual MAC leaves
 * the base, at the end of the daemon, or by the next daemon after a crash - unless somebody changed them meanwhile.
 */
#ifndef KT_SYSCTL_PLAN_H
#define KT_SYSCTL_PLAN_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYSCTL_PATH_MAX   80
#define SYSCTL_ITEMS_MAX  16
#define SYSCTL_BASES_MAX  1024
#define SYSCTL_RECORD_MAX (16 + SYSCTL_BASES_MAX * (4 + 1 + IFNAMSIZ + 8 * SYSCTL_BASE_N))

enum sysctl_rule {
	SYSCTL_SET = 0,   /* value */
	SYSCTL_AT_LEAST,  /* value, unless it is higher already */
	SYSCTL_COPY,      /* what stands at `from` */
	SYSCTL_RP_FILTER, /* 0; where `from` (all interfaces) says strict: 2, the loose form, as the higher one counts */
};

struct sysctl_item {
	char path[SYSCTL_PATH_MAX]; /* below /proc/sys, with slashes */
	char from[SYSCTL_PATH_MAX];
	enum sysctl_rule rule;
	int value;
};

/* Settings of a base. The numbers stand in files. */
enum sysctl_base_key {
	SYSCTL_BASE_ARP_IGNORE = 0, /* 1: it answers only for its own addresses, not for those of the virtual MAC */
	SYSCTL_BASE_ARP_ANNOUNCE,   /* 2: its ARP requests never name a virtual address with the wrong MAC */
};
#define SYSCTL_BASE_N    2

#define SYSCTL_UNTOUCHED INT32_MIN

struct sysctl_base {
	int ifindex;
	char name[IFNAMSIZ]; /* as it is called now */
	bool wanted, applied;
	bool failed;                /* the last attempt failed: again when the interface changes */
	bool unsure;                /* from a record: whether the new values were set is not known */
	int32_t old[SYSCTL_BASE_N]; /* SYSCTL_UNTOUCHED: not changed by us */
	int32_t set[SYSCTL_BASE_N];
};

struct sysctl_plan {
	struct sysctl_base base[SYSCTL_BASES_MAX];
	unsigned n;
	uint64_t full;
};

/* What the virtual MAC's own interface needs. */
struct sysctl_vmac {
	char name[IFNAMSIZ], base[IFNAMSIZ];
	bool link_local; /* it has IPv6 addresses and none of them is link-local: the kernel has to make one */
	bool dad;        /* an address asks for duplicate detection */
};

/* Fills out and returns the number of items. */
unsigned sysctl_plan_vmac(const struct sysctl_vmac *v, struct sysctl_item out[SYSCTL_ITEMS_MAX]);
unsigned sysctl_plan_base(const char *name, struct sysctl_item out[SYSCTL_BASE_N]);

/*
 * The value to write for an item whose present value is `now`, and `from` that of item.from (0 where there is none);
 * SYSCTL_UNTOUCHED: nothing is to be written.
 */
int32_t sysctl_plan_value(const struct sysctl_item *it, int32_t now, int32_t from);
/* The value to write back; SYSCTL_UNTOUCHED: we did not change it, or somebody else did after us. */
int32_t sysctl_plan_restore(const struct sysctl_base *b, enum sysctl_base_key key, int32_t now);

/* Wishes are declared as a whole: begin, want for each base, and what was not wanted goes back to its old values. */
void sysctl_plan_begin(struct sysctl_plan *p);
void sysctl_plan_want(struct sysctl_plan *p, int ifindex, const char *name);
/* The interface is gone and its settings with it. */
void sysctl_plan_gone(struct sysctl_plan *p, int ifindex);
/* It bears this name now; another try after a failure. */
void sysctl_plan_named(struct sysctl_plan *p, int ifindex, const char *name);
/* A base whose settings are not as wanted: b->wanted says which way. NULL when there is none. */
const struct sysctl_base *sysctl_plan_next(const struct sysctl_plan *p);
/* What became of it: b as the job left it (old and set filled in), err 0 or -errno. */
void sysctl_plan_done(struct sysctl_plan *p, const struct sysctl_base *b, int err);

#define SYSCTL_RECORD_TABLE(X)                                                     \
	X(SYSCTL_RECORD_OK, "ok")                                                  \
	X(SYSCTL_RECORD_SHORT, "the file ends before its last entry")              \
	X(SYSCTL_RECORD_MAGIC, "this is not a record of kernel settings")          \
	X(SYSCTL_RECORD_VERSION, "the file was written by an unknown version")     \
	X(SYSCTL_RECORD_CRC, "the checksum is wrong: the file was changed or cut") \
	X(SYSCTL_RECORD_ENTRY, "an entry has a field that is out of range")        \
	X(SYSCTL_RECORD_COUNT, "the number of entries is wrong")

enum sysctl_record_drop {
#define SYSCTL_RECORD_ENUM(name, text) name,
	SYSCTL_RECORD_TABLE(SYSCTL_RECORD_ENUM)
#undef SYSCTL_RECORD_ENUM
	    SYSCTL_RECORD_DROP_N
};

const char *sysctl_record_text(enum sysctl_record_drop d);
/* The applied bases as a file: bytes, or 0 when cap is too small (SYSCTL_RECORD_MAX always suffices). */
size_t sysctl_record_encode(const struct sysctl_plan *p, uint8_t *buf, size_t cap);
/* Takes the bases of an earlier process into an empty plan; after any error the plan stays empty. */
enum sysctl_record_drop sysctl_record_decode(struct sysctl_plan *p, const uint8_t *buf, size_t len);

#endif
