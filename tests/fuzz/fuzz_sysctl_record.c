/* Feeds files to the record of kernel settings, as they are and with the checksum put right. */
#include "daemon/sysctl_plan.h"
#include "tests/fuzz/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
	static struct sysctl_plan p;
	static uint8_t again[SYSCTL_RECORD_MAX];
	p.n = 0;
	enum sysctl_record_drop d = sysctl_record_decode(&p, data, size);
	require(sysctl_record_text(d)[0]);
	if (d != SYSCTL_RECORD_OK) {
		require(p.n == 0);
		return;
	}
	require(sysctl_record_encode(&p, again, sizeof(again)) == size && memcmp(again, data, size) == 0);
	for (unsigned i = 0; i < p.n; i++) {
		struct sysctl_item it[SYSCTL_BASE_N];
		require(sysctl_plan_base(p.base[i].name, it) == SYSCTL_BASE_N);
		require(!strstr(it[0].path, "/../"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_sealed(data, size, decode);
}
