/* The service manager's side of the protocol is played by a datagram socket in the abstract namespace. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/mono.h"
#include "daemon/sdnotify.h"
#include "tests/unit/run.h"

static int manager;
static char name[128];

static void setup(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "check_sdnotify.%d", (int)getpid());
	snprintf(name, sizeof(name), "@%s", sa.sun_path + 1);
	ck_assert_int_eq(
	    bind(manager, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
	    0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void teardown(void)
{
	sdnotify_done();
	close(manager);
}

static const char *heard(void)
{
	static char text[512];
	ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(test_messages)
{
	setenv("NOTIFY_SOCKET", name, 1);
	sdnotify_init();
	ck_assert(sdnotify_active());
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET")); /* hooks must not speak for us */
	sdnotify_ready();
	ck_assert_str_eq(heard(), "READY=1\n");
	sdnotify_reloading();
	ck_assert_int_eq(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	sdnotify_status("MASTER of 2\nREADY=1");
	ck_assert_str_eq(heard(), "STATUS=MASTER of 2 READY=1");
	sdnotify_watchdog();
	ck_assert_str_eq(heard(), "WATCHDOG=1\n");
	sdnotify_stopping();
	ck_assert_str_eq(heard(), "STOPPING=1\n");
	ck_assert_str_eq(heard(), "");
	/* a manager that does not read: never blocks */
	for (unsigned i = 0; i < 10000; i++)
		sdnotify_watchdog();
}
END_TEST

START_TEST(test_absent)
{
	unsetenv("NOTIFY_SOCKET");
	sdnotify_init();
	ck_assert(!sdnotify_active());
	sdnotify_ready();
	setenv("NOTIFY_SOCKET", "relative/path", 1);
	sdnotify_init();
	ck_assert(!sdnotify_active());
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(test_watchdog)
{
	char pid[16];
	static const struct {
		const char *usec;
		int64_t ns;
	} row[] = { { "3000000", 1500 * NS_PER_MS }, { "0", 0 }, { "-5", 0 }, { "x", 0 }, { "12x", 0 }, { "", 0 },
		    { "99999999999999999999", 0 } };
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		setenv("WATCHDOG_USEC", row[i].usec, 1);
		sdnotify_init();
		ck_assert_int_eq(sdnotify_watchdog_ns(), row[i].ns);
	}
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	sdnotify_init();
	ck_assert_int_eq(sdnotify_watchdog_ns(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	sdnotify_init();
	ck_assert_int_eq(sdnotify_watchdog_ns(), 1500 * NS_PER_MS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sdnotify");
	TCase *t = tcase_create("protocol");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_messages);
	tcase_add_test(t, test_absent);
	tcase_add_test(t, test_watchdog);
	suite_add_tcase(s, t);
	return unit_run(s);
}
