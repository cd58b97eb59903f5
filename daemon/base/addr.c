#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->af == b->af && memcmp(a->b, b->b, addr_len(a->af)) == 0;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->af != b->af)
		return a->af < b->af ? -1 : 1;
	return memcmp(a->b, b->b, addr_len(a->af));
}

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct addr){ .af = ADDR_V4, .b = { a, b, c, d } };
}

struct addr addr_from_bytes(uint8_t af, const void *bytes)
{
	struct addr a = { .af = af };
	if (addr_len(af))
		memcpy(a.b, bytes, addr_len(af));
	return a;
}

bool addr_parse(const char *text, struct addr *out)
{
	struct addr a = { .af = ADDR_V4 };
	if (inet_pton(AF_INET, text, a.b) != 1) {
		a.af = ADDR_V6;
		if (inet_pton(AF_INET6, text, a.b) != 1)
			return false;
	}
	*out = a;
	return true;
}

bool addr_parse_prefix(const char *text, struct addr *out, uint8_t *plen)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char buf[ADDR_TEXT_MAX];
	struct addr a;
	if (n >= sizeof(buf))
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (!addr_parse(buf, &a))
		return false;
	unsigned long full = addr_len(a.af) * 8, len = full;
	if (slash) {
		/* strtoul takes signs and blanks, which a prefix length never has. */
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		char *end;
		len = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || len > full)
			return false;
	}
	*out = a;
	*plen = (uint8_t)len;
	return true;
}

bool addr_mac_parse(const char *text, uint8_t mac[6])
{
	uint8_t m[6];

	for (unsigned i = 0; i < 6; i++, text += 3) {
		char octet[3] = { text[0], text[0] ? text[1] : '\0', '\0' };
		if (!isxdigit((unsigned char)octet[0]) || !isxdigit((unsigned char)octet[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		m[i] = (uint8_t)strtoul(octet, NULL, 16);
	}
	memcpy(mac, m, sizeof(m));
	return true;
}

char *addr_text(const struct addr *a, char *buf)
{
	int family = a->af == ADDR_V4 ? AF_INET : AF_INET6;
	if (addr_len(a->af) == 0 || !inet_ntop(family, a->b, buf, ADDR_TEXT_MAX))
		memcpy(buf, "-", 2);
	return buf;
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->af == ADDR_V4)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->af == ADDR_V6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool addr_is_multicast(const struct addr *a)
{
	if (a->af == ADDR_V4)
		return (a->b[0] & 0xf0) == 0xe0;
	return a->af == ADDR_V6 && a->b[0] == 0xff;
}

bool addr_in_prefix(const struct addr *a, const struct addr *net, uint8_t plen)
{
	if (a->af != net->af || plen > addr_len(a->af) * 8)
		return false;
	size_t whole = plen / 8;
	unsigned rest = plen % 8;
	if (memcmp(a->b, net->b, whole) != 0)
		return false;
	return rest == 0 || ((a->b[whole] ^ net->b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
