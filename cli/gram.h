/*
 * Purpose: the shell's grammar: splits a line, finds the command it abbreviates, offers completions. All from the one
 *          command table of daemon/ctl_proto.h.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a line.   Out: a command with its arguments, or what is wrong with the line.
 * Errors:  an unknown, ambiguous or incomplete line is a status, with the word it fails at and the candidates.
 *
 * Any unambiguous beginning of a word stands for the word; a whole word always wins ("debug sync" against "debug sync
 * stall" is decided by what follows). A trailing `json` is taken by every show command and those on tunnels.
 */
#ifndef KT_CLI_GRAM_H
#define KT_CLI_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ctl_proto.h"

#define GRAM_WORDS_MAX 32
#define GRAM_WORD_MAX  128 /* with NUL */
#define GRAM_ARGS_MAX  12
#define GRAM_CANDS_MAX 32

struct gram_line {
	unsigned n;
	char word[GRAM_WORDS_MAX][GRAM_WORD_MAX];
	bool open_end; /* a blank follows the last word, or there is none: the next word has not begun */
};

enum gram_status { GRAM_OK = 0, GRAM_EMPTY, GRAM_UNKNOWN, GRAM_AMBIGUOUS, GRAM_INCOMPLETE };

struct gram_cand {
	char word[GRAM_WORD_MAX]; /* what could stand here, or a name in capitals for a value */
	const char *help;
	bool value; /* a placeholder: not to be typed as it is */
};

struct gram_cands {
	unsigned n;
	struct gram_cand c[GRAM_CANDS_MAX];
	bool complete; /* the line could end here */
};

struct gram_value {
	const struct ctl_arg_def *def;
	int64_t num;
	char text[GRAM_WORD_MAX];
};

struct gram_match {
	enum gram_status status;
	enum ctl_cmd cmd;
	bool json;
	unsigned n_args;
	struct gram_value arg[GRAM_ARGS_MAX];
	unsigned at;             /* word that is wrong; the number of words if one is missing */
	struct gram_cands cands; /* AMBIGUOUS: what it could mean. INCOMPLETE: what could follow */
	char why[160];           /* UNKNOWN: what would be right, may be empty */
};

/*
 * Words are separated by blanks; "..." keeps blanks, \ keeps the next byte. A line that begins with ! or # is empty.
 * False when the line has too many or too long words.
 */
bool gram_split(const char *text, size_t len, struct gram_line *out);
/* What the line means. */
void gram_parse(const struct gram_line *line, struct gram_match *out);
/* What could stand in place of the last word (the next one if open_end). */
void gram_complete(const struct gram_line *line, struct gram_cands *out);
/* The longest text that all candidates that are no placeholders begin with; its length. */
size_t gram_common(const struct gram_cands *c, char *buf, size_t size);
/* "show failover history [LIMIT] [json]". Returns buf. */
char *gram_syntax(enum ctl_cmd cmd, char *buf, size_t size);
/* The argument of this key, or NULL. */
const struct gram_value *gram_arg(const struct gram_match *m, const char *key);

#endif
