/* The interactive loop: line editing, history, completion and help from the grammar. */
#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include "cli/shell.h"

#define HISTORY 500

struct repl {
	struct shell *sh;
	char prompt[96];
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

/*
 * One character from the terminal: 1, 0 at the end, -1 when ^C came. SIGINT is blocked except in here, so that it cannot
 * fall between the look at `interrupted` and the wait.
 */
static int get_char(EditLine *el, wchar_t *out)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	mbstate_t state = { 0 };
	sigset_t none;

	(void)el;
	sigemptyset(&none);
	for (;;) {
		char byte;
		if (ppoll(&pfd, 1, NULL, &none) < 0) {
			if (interrupted || errno != EINTR)
				return -1;
			continue; /* the window changed its size, or the shell was stopped and goes on */
		}
		ssize_t n = read(STDIN_FILENO, &byte, 1);
		if (n <= 0)
			return n < 0 && errno == EINTR ? -1 : 0;
		size_t used = mbrtowc(out, &byte, 1, &state);
		if (used == (size_t)-1) { /* no character of this locale */
			memset(&state, 0, sizeof(state));
			continue;
		}
		if (used != (size_t)-2)
			return 1;
	}
}

static char *prompt(EditLine *el)
{
	struct repl *r;

	el_get(el, EL_CLIENTDATA, &r);
	return r->prompt;
}

/* The line up to the cursor. */
static bool typed(EditLine *el, struct gram_line *line)
{
	const LineInfo *li = el_line(el);

	return gram_split(li->buffer, (size_t)(li->cursor - li->buffer), line);
}

static unsigned char on_help(EditLine *el, int ch)
{
	struct gram_line line;

	(void)ch;
	if (!typed(el, &line))
		return CC_REFRESH_BEEP;
	fputs("?\n", stdout);
	shell_help(&line, stdout);
	return CC_REDISPLAY;
}

static unsigned char on_tab(EditLine *el, int ch)
{
	struct gram_line line;
	struct gram_cands cands;
	char common[GRAM_WORD_MAX];
	unsigned words = 0;

	(void)ch;
	if (!typed(el, &line))
		return CC_REFRESH_BEEP;
	gram_complete(&line, &cands);
	for (unsigned i = 0; i < cands.n; i++)
		words += !cands.c[i].value;
	size_t have = line.open_end ? 0 : strlen(line.word[line.n - 1]);
	size_t len = gram_common(&cands, common, sizeof(common));
	if (words == 1 && len + 1 < sizeof(common)) {
		common[len++] = ' ';
		common[len] = '\0';
	}
	if (words >= 1 && len > have)
		return el_insertstr(el, common + have) < 0 ? CC_REFRESH_BEEP : CC_REFRESH;
	if (cands.n == 0)
		return CC_REFRESH_BEEP;
	fputc('\n', stdout);
	shell_help(&line, stdout);
	return CC_REDISPLAY;
}

static EditLine *editor(struct repl *r, History *hist)
{
	EditLine *el = el_init("ktsh", stdin, stdout, stderr);

	if (!el)
		return NULL;
	el_set(el, EL_CLIENTDATA, r);
	el_set(el, EL_PROMPT, prompt);
	el_set(el, EL_GETCFN, get_char);
	el_set(el, EL_EDITOR, "emacs");
	el_set(el, EL_HIST, history, hist);
	el_set(el, EL_ADDFN, "ktsh-help", "Show what can follow", on_help);
	el_set(el, EL_ADDFN, "ktsh-complete", "Complete the word", on_tab);
	el_set(el, EL_BIND, "?", "ktsh-help", NULL);
	el_set(el, EL_BIND, "^I", "ktsh-complete", NULL);
	el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	return el;
}

/* One line from the terminal into the shell. False at the end of the input. */
static bool one_line(struct repl *r, EditLine *el, History *hist, int *code)
{
	HistEvent ev;
	int n;

	shell_prompt(r->sh, r->prompt, sizeof(r->prompt));
	interrupted = 0;
	const char *text = el_gets(el, &n);
	if (interrupted) { /* ^C drops the line */
		fputc('\n', stdout);
		el_reset(el);
		return true;
	}
	if (!text || n <= 0)
		return false;
	if (strspn(text, " \t\r\n") != strlen(text))
		history(hist, &ev, H_ENTER, text);
	*code = shell_line(r->sh, text);
	fflush(r->sh->out);
	return !r->sh->leave;
}

int repl_run(struct shell *sh)
{
	struct repl r = { .sh = sh };
	struct sigaction sa = { .sa_handler = on_interrupt };
	History *hist = history_init();
	EditLine *el = hist ? editor(&r, hist) : NULL;
	HistEvent ev;
	sigset_t intr;
	int code = CTL_OK;

	if (!el) {
		fputs("% no line editing on this terminal\n", stderr);
		if (hist)
			history_end(hist);
		return repl_pipe(sh, stdin);
	}
	history(hist, &ev, H_SETSIZE, HISTORY);
	history(hist, &ev, H_SETUNIQUE, 1);
	sigemptyset(&intr);
	sigaddset(&intr, SIGINT);
	sigprocmask(SIG_BLOCK, &intr, NULL);
	sigaction(SIGINT, &sa, NULL);
	while (one_line(&r, el, hist, &code))
		;
	if (!sh->leave)
		fputc('\n', stdout);
	el_end(el);
	history_end(hist);
	return code;
}

int repl_pipe(struct shell *sh, FILE *in)
{
	char *text = NULL;
	size_t room = 0;
	int code = CTL_OK;

	while (code == CTL_OK && !sh->leave && getline(&text, &room, in) > 0)
		code = shell_line(sh, text);
	free(text);
	return code;
}
