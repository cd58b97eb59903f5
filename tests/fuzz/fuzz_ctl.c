/* One request line of the control protocol: it is refused with a message, or names a command with valid arguments. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl_request req;
	json_t *root;

	if (size > CTL_LINE_MAX)
		return 0;
	int rc = ctl_parse((const char *)data, size, &req, &root);
	require(memchr(req.message, '\0', sizeof(req.message)));
	if (rc == CTL_OK) {
		require(root && json_is_object(req.args) && req.cmd < CTL_CMD_N);
		require(ctl_cmd_def(req.cmd)->thread != CTL_ON_CLIENT);
	} else {
		require(req.message[0]);
	}
	json_decref(root);
	return 0;
}
