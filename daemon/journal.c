#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/file_io.h"
#include "daemon/journal.h"
#include "daemon/kernel_thread.h"

struct journal {
	int fd;
	uint64_t next_seq; /* of the next entry; slot = seq % JOURNAL_KEEP */
	uint32_t count;
	struct journal_stats stats;
	struct journal_entry ring[JOURNAL_KEEP]; /* place = seq % JOURNAL_KEEP */
	uint64_t seq[JOURNAL_KEEP];
};

/* A slot counts only in its own place: one that stands elsewhere was moved, not written by us. */
static void load_slot(struct journal *j, const uint8_t *slot, size_t len, uint32_t place)
{
	struct journal_entry e;
	uint64_t seq;
	enum journal_drop d = journal_slot_decode(slot, len, &seq, &e);
	if (d == JOURNAL_EMPTY)
		return;
	if (d != JOURNAL_OK || seq == 0 || seq % JOURNAL_KEEP != place) {
		j->stats.lost_slots++;
		return;
	}
	j->ring[place] = e;
	j->seq[place] = seq;
	if (seq >= j->next_seq)
		j->next_seq = seq + 1;
}

/* Keeps the unbroken run of numbers that ends with the newest; gaps are lost slots and stay empty. */
static void load(struct journal *j, const uint8_t *data, size_t len)
{
	j->next_seq = 1;
	for (uint32_t i = 0; i < JOURNAL_KEEP && (size_t)i * JOURNAL_SLOT_BYTES < len; i++) {
		size_t at = (size_t)i * JOURNAL_SLOT_BYTES;
		load_slot(j, data + at, len - at, i);
	}
	for (uint32_t i = 0; i < JOURNAL_KEEP; i++) {
		if (j->seq[i] && j->seq[i] + JOURNAL_KEEP < j->next_seq)
			j->seq[i] = 0; /* older than what the ring holds */
		j->count += j->seq[i] != 0;
	}
}

struct journal *journal_open(const char *path)
{
	struct journal *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	j->next_seq = 1;
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = file_io_read(path, (size_t)JOURNAL_KEEP * JOURNAL_SLOT_BYTES, &data, &len);
	if (rc == 0)
		load(j, data, len);
	free(data);
	j->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (rc == -EFBIG ? O_TRUNC : 0), 0600);
	if (j->fd < 0)
		j->stats.err = -errno;
	else if (rc < 0 && rc != -ENOENT)
		j->stats.err = rc;
	return j;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

static void slot_done(struct kt_job *job)
{
	struct journal *j = job->arg;
	j->stats.write_errors += job->result < 0;
	if (job->result < 0 && !j->stats.err)
		log_err(LOG_MAIN, "the journal of role changes cannot be written (%s): they are kept in memory only",
			err_text(job->result));
	j->stats.err = job->result;
}

static void write_slot(struct journal *j, struct kernel_thread *kt, uint32_t place, const uint8_t *slot)
{
	off_t offset = (off_t)place * JOURNAL_SLOT_BYTES;
	if (!kt) {
		ssize_t n = pwrite(j->fd, slot, JOURNAL_SLOT_BYTES, offset);
		j->stats.write_errors += n != JOURNAL_SLOT_BYTES;
		return;
	}
	struct kt_job *job = kt_job_new(KT_SLOT, KT_LATER, slot_done, j);
	uint8_t *copy = malloc(JOURNAL_SLOT_BYTES);
	if (job && copy) {
		memcpy(copy, slot, JOURNAL_SLOT_BYTES);
		job->slot.fd = j->fd;
		job->slot.offset = offset;
		job->slot.data = copy;
		job->slot.len = JOURNAL_SLOT_BYTES;
		if (kernel_thread_submit(kt, job) == 0)
			return;
	} else {
		free(copy);
	}
	kt_job_free(job);
	j->stats.not_queued++;
}

void journal_add(struct journal *j, struct kernel_thread *kt, const struct journal_entry *e)
{
	uint8_t slot[JOURNAL_SLOT_BYTES];
	uint64_t seq = j->next_seq++;
	uint32_t place = (uint32_t)(seq % JOURNAL_KEEP);
	j->count += j->seq[place] == 0;
	j->ring[place] = *e;
	j->seq[place] = seq;
	j->stats.added++;
	if (j->fd < 0)
		return;
	if (journal_slot_encode(seq, e, slot))
		write_slot(j, kt, place, slot);
	else
		j->stats.write_errors++;
}

uint32_t journal_count(const struct journal *j)
{
	return j->count;
}

/* Place of the entry below seq, newest first; JOURNAL_KEEP when there is none. Lost slots are skipped. */
static uint32_t place_below(const struct journal *j, uint64_t *seq)
{
	uint64_t oldest = j->next_seq > JOURNAL_KEEP ? j->next_seq - JOURNAL_KEEP : 1;
	while (*seq > oldest) {
		uint32_t place = (uint32_t)(--*seq % JOURNAL_KEEP);
		if (j->seq[place] == *seq)
			return place;
	}
	return JOURNAL_KEEP;
}

const struct journal_entry *journal_get(const struct journal *j, uint32_t newest)
{
	uint64_t seq = j->next_seq;
	uint32_t place;
	do {
		place = place_below(j, &seq);
	} while (place < JOURNAL_KEEP && newest--);
	return place < JOURNAL_KEEP ? &j->ring[place] : NULL;
}

const struct journal_entry *journal_find(const struct journal *j, struct epoch epoch, const char *group, uint32_t node)
{
	uint64_t seq = j->next_seq;
	uint32_t place;
	while ((place = place_below(j, &seq)) < JOURNAL_KEEP) {
		const struct journal_entry *e = &j->ring[place];
		if (epoch_cmp(e->epoch, epoch) == 0 && e->node == node && strcmp(e->group, group) == 0)
			return e;
	}
	return NULL;
}

const struct journal_stats *journal_stats(const struct journal *j)
{
	return &j->stats;
}

int epoch_store_read(const char *path, struct epoch *out)
{
	uint8_t *data = NULL;
	size_t len = 0;
	*out = (struct epoch){ 0 };
	int rc = file_io_read(path, 4096, &data, &len);
	if (rc < 0)
		return rc;
	enum journal_drop d = epoch_file_decode(data, len, out);
	free(data);
	return d == JOURNAL_OK ? 0 : d == JOURNAL_VERSION ? ERR_VERSION : ERR_CHECKSUM;
}

int epoch_store_write(struct kernel_thread *kt, const char *path, struct epoch e, kt_done_fn done, void *arg)
{
	struct kt_job *job = kt_job_new(KT_DISK, KT_LATER, done, arg);
	uint8_t *data = malloc(EPOCH_FILE_BYTES);
	size_t n = strlen(path);
	if (!job || !data || n >= sizeof(job->file.path)) {
		kt_job_free(job);
		free(data);
		return n >= sizeof(job->file.path) ? -ENAMETOOLONG : -ENOMEM;
	}
	epoch_file_encode(e, data);
	memcpy(job->file.path, path, n + 1);
	job->file.data = data;
	job->file.len = EPOCH_FILE_BYTES;
	job->file.mode = 0600;
	int rc = kernel_thread_submit(kt, job);
	if (rc)
		kt_job_free(job);
	return rc;
}
