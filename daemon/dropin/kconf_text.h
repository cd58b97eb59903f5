/*
 * Purpose: the rules of keepalived.conf about one line: comments, words, conditions, definitions, sequences, lists.
 * Owns:    nothing, except for struct kconf_lst.
 * Thread:  any (pure).
 * In/Out:  texts of the caller. Blanks are ' ' and \t; between words also \f \n \r \v, as in keepalived.
 * Errors:  false or NULL: the line is not of that kind, or is one that breaks its rule; nothing else changes then.
 */
#ifndef KT_KCONF_TEXT_H
#define KT_KCONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Cuts what follows # or ! (not in "", not after \), the \ of an escaped # or !, and the blanks at both ends; blanks
 * before a \ that ends the line go too. Returns the new length; *open: a " does not end.
 */
size_t kconf_decomment(char *s, size_t len, bool *open);
/*
 * Plain words: "..." is a word where it begins one. words may be NULL to count. into holds what words point to, 2 * len
 * + 2 bytes. Returns the number of words; *bad: a " does not end, the rest of the line is left out.
 */
unsigned kconf_split(const char *text, size_t len, char *into, char **words, bool *bad);
/* Words as a shell has them: see kconf_shell_words. -1: a quote does not end; -2: a lone \ at the end. */
int kconf_shell_split(const char *text, size_t len, char *into, char **words);
/* The first brace of a line outside of "" and of ${...} with a name in it; NULL: none. *var: such a ${...} was passed. */
const char *kconf_brace(const char *s, bool *var);
/* `@id text`, `@^id text`: the text if it is for `id`; NULL: it is not, or there is no text. */
const char *kconf_condition(const char *line, const char *id);
/* `$NAME=value`: the value, and the length of the name that begins at line + 1. */
const char *kconf_definition(const char *line, size_t *name_len);
/* `include FILE` and its kin: the pattern; *check is what the letter adds (enum kconf_check). */
const char *kconf_include(const char *line, unsigned *check);

/* `$NAME`, `${NAME}`, `${NAME words}` at s[0] == '$'. */
struct kconf_ref {
	const char *name, *args; /* args: NULL, or up to args_len letters */
	size_t name_len, args_len;
	size_t len; /* all of it, with $ and braces */
};
bool kconf_ref(const char *s, struct kconf_ref *r);

/* ~SEQ: the words between the parentheses. */
struct kconf_seq {
	int64_t next, last, step;
	bool hex;
};
/* "end", "start,end", "start,step,end", each as in C (0x..., 0...). */
bool kconf_seq(const char *args, bool hex, struct kconf_seq *q);

/* ~LST: names, and sets with a value for each. */
struct kconf_lst {
	char *mem; /* all texts */
	char **names, **values;
	unsigned n_names, n_sets, next;
};
/* From the ( on. Returns what follows the ), NULL: not a list. The caller frees with kconf_lst_free. */
const char *kconf_lst(const char *s, struct kconf_lst *l);
void kconf_lst_free(struct kconf_lst *l);

#endif
