/* Memory and variables of the keepalived.conf reader. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_int.h"

#define CHUNK (256u << 10)

struct chunk {
	struct chunk *next;
	size_t used, size;
	char mem[];
};

struct kconf_arena {
	struct chunk *chunks;
	size_t total, max;
};

struct kconf_arena *kconf_arena_new(size_t max)
{
	struct kconf_arena *a = calloc(1, sizeof(*a));

	require(a);
	a->max = max;
	return a;
}

void *kconf_alloc(struct kconf_arena *a, size_t size)
{
	struct chunk *c = a->chunks;

	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		size_t want = size > CHUNK ? size : CHUNK;
		if (want > a->max - a->total)
			return NULL;
		/* fresh pages are zero already, and calloc knows */
		c = calloc(1, sizeof(*c) + want);
		require(c);
		c->size = want;
		c->next = a->chunks;
		a->chunks = c;
		a->total += want;
	}
	c->used += size;
	return c->mem + c->used - size;
}

void kconf_arena_free(struct kconf_arena *a)
{
	struct chunk *next;

	if (!a)
		return;
	for (struct chunk *c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

static unsigned bucket(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return (h ^ h >> 16) & 255;
}

struct kconf_var *kconf_var_get(const struct kconf_vars *v, const char *name, size_t name_len)
{
	struct kconf_var *var = v->hash[bucket(name, name_len)];

	while (var && (var->name_len != name_len || memcmp(var->name, name, name_len) != 0))
		var = var->next;
	return var;
}

struct kconf_var *kconf_var_set(struct kconf_vars *v, const char *name, size_t name_len, const char *value, size_t len)
{
	struct kconf_var *var = kconf_var_get(v, name, name_len);

	if (!var) {
		struct kconf_var **head = &v->hash[bucket(name, name_len)];
		var = calloc(1, sizeof(*var) + name_len + 1);
		require(var);
		memcpy(var->name, name, name_len);
		var->name_len = name_len;
		var->next = *head;
		*head = var;
	}
	/* a value may be made of the old one */
	char *old = var->value;
	var->value = NULL;
	var->value_len = 0;
	var->lines = false;
	kconf_var_append(var, value, len);
	free(old);
	return var;
}

void kconf_var_append(struct kconf_var *v, const char *text, size_t len)
{
	char *value = realloc(v->value, v->value_len + len + 1);

	require(value);
	memcpy(value + v->value_len, text, len);
	v->value = value;
	v->value_len += len;
	value[v->value_len] = '\0';
}

void kconf_vars_free(struct kconf_vars *v)
{
	for (unsigned i = 0; i < 256; i++) {
		struct kconf_var *next;
		for (struct kconf_var *var = v->hash[i]; var; var = next) {
			next = var->next;
			free(var->value);
			free(var);
		}
		v->hash[i] = NULL;
	}
}
