/* Requests of the control protocol: reading and judging one line. */
#include <stdio.h>
#include <string.h>
#include "daemon/ctl.h"

static int fail(struct ctl_request *req, int code, const char *what)
{
	snprintf(req->message, sizeof(req->message), "%s", what);
	return code;
}

static const struct ctl_arg_def *find_arg(enum ctl_cmd cmd, const char *key)
{
	const struct ctl_arg_def *a;

	for (unsigned i = 0; (a = ctl_cmd_arg(cmd, i)) != NULL; i++) {
		if (strcmp(a->key, key) == 0)
			return a;
	}
	return NULL;
}

static bool arg_ok(const struct ctl_arg_def *a, const json_t *value)
{
	int64_t num;

	switch (a->type) {
	case CTL_ARG_FLAG:
		return json_is_boolean(value);
	case CTL_ARG_INT:
		return json_is_integer(value) && json_integer_value(value) >= a->min &&
		       json_integer_value(value) <= a->max;
	case CTL_ARG_NAME:
	case CTL_ARG_EPOCH:
		return json_is_string(value) && ctl_arg_parse(a, json_string_value(value), &num) == 0;
	}
	return false;
}

static int check_args(struct ctl_request *req)
{
	const struct ctl_arg_def *a;
	const char *key;
	json_t *value;
	char want[100];

	json_object_foreach((json_t *)(uintptr_t)req->args, key, value)
	{
		a = find_arg(req->cmd, key);
		if (!a) {
			snprintf(req->message, sizeof(req->message), "%s has no argument %.60s",
				 ctl_cmd_def(req->cmd)->path, key);
			return CTL_FAILED;
		}
		if (!arg_ok(a, value)) {
			snprintf(req->message, sizeof(req->message), "argument %s must be %s", key,
				 ctl_arg_want(a, want, sizeof(want)));
			return CTL_FAILED;
		}
	}
	for (unsigned i = 0; (a = ctl_cmd_arg(req->cmd, i)) != NULL; i++) {
		if (a->required && !json_object_get(req->args, a->key)) {
			snprintf(req->message, sizeof(req->message), "argument %s is missing; it must be %s", a->key,
				 ctl_arg_want(a, want, sizeof(want)));
			return CTL_INCOMPLETE;
		}
	}
	return CTL_OK;
}

static int read_fields(struct ctl_request *req, json_t *root)
{
	const json_t *id = json_object_get(root, "id"), *v = json_object_get(root, "v");
	const json_t *cmd = json_object_get(root, "cmd");
	json_t *args = json_object_get(root, "args");

	if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > UINT32_MAX)
		return fail(req, CTL_FAILED, "\"id\" must be a whole number from 0 to 4294967295");
	req->id = (uint32_t)json_integer_value(id);
	if (!json_is_integer(v) || json_integer_value(v) != CTL_VERSION)
		return fail(req, CTL_FAILED, "\"v\" must be 1, the version of the protocol");
	if (!json_is_string(cmd))
		return fail(req, CTL_FAILED, "\"cmd\" must be a text");
	int c = ctl_cmd_find(json_string_value(cmd));
	if (c < 0 || ctl_cmd_def((enum ctl_cmd)c)->thread == CTL_ON_CLIENT) {
		snprintf(req->message, sizeof(req->message), "unknown command: %.100s", json_string_value(cmd));
		return CTL_UNKNOWN;
	}
	req->cmd = (enum ctl_cmd)c;
	if (!args) {
		args = json_object();
		if (!args || json_object_set_new(root, "args", args) < 0)
			return fail(req, CTL_FAILED, "out of memory");
	}
	if (!json_is_object(args))
		return fail(req, CTL_FAILED, "\"args\" must be an object");
	req->args = args;
	return check_args(req);
}

int ctl_parse(const char *line, size_t len, struct ctl_request *req, json_t **root)
{
	json_error_t err;

	*req = (struct ctl_request){ .id = 0 };
	*root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);
	if (!*root) {
		snprintf(req->message, sizeof(req->message), "not JSON: %.150s (column %d)", err.text, err.column);
		return CTL_FAILED;
	}
	if (!json_is_object(*root))
		return fail(req, CTL_FAILED, "a request must be an object");
	return read_fields(req, *root);
}
