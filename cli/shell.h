/*
 * Purpose: runs one line: reads it with the grammar, asks the daemon, prints text or JSON.
 * Owns:    struct shell: the connection and where output goes.
 * Thread:  the shell's only one.
 * In:      a line.   Out: what it prints, and a code of enum ctl_code.
 * Errors:  lines that begin with "% " (or an error object, when the line asked for JSON), and the code.
 */
#ifndef KT_CLI_SHELL_H
#define KT_CLI_SHELL_H

#include <stdbool.h>
#include <stdio.h>
#include "cli/client.h"
#include "cli/gram.h"

struct shell {
	struct client client;
	FILE *out;
	bool view_only; /* refuses admin commands by itself */
	bool leave;     /* exit was typed */
};

void shell_init(struct shell *sh, const char *socket_path, FILE *out);
void shell_end(struct shell *sh);
/* Runs one line; an empty one is CTL_OK. */
int shell_line(struct shell *sh, const char *text);
/* "fw-a[MASTER]# " or "[?]# " when the daemon is not reachable. Returns buf. */
char *shell_prompt(struct shell *sh, char *buf, size_t size);
/* Words that could follow, with their help, as `?` shows them. */
void shell_help(const struct gram_line *line, FILE *out);
/* The interactive loop; returns the code of the last command. */
int repl_run(struct shell *sh);
/* Lines from a file or pipe, until the end or the first failure. */
int repl_pipe(struct shell *sh, FILE *in);

#endif
