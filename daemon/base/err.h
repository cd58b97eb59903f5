/*
 * Purpose: one table of error codes: 0 is success, -errno for the system's errors, our own from -1001 down.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  err_text(code) gives a static, complete English text.
 * Errors:  an unknown code yields "unknown error".
 */
#ifndef KT_BASE_ERR_H
#define KT_BASE_ERR_H

/* name, number, text */
#define ERR_TABLE(X)                                                                       \
	X(ERR_FULL, -1001, "the queue or table is at its limit")                           \
	X(ERR_TRUNCATED, -1002, "the message ends before its last field")                  \
	X(ERR_VERSION, -1003, "the version is not supported")                              \
	X(ERR_MALFORMED, -1004, "the message has a field that is out of range")            \
	X(ERR_AUTH, -1005, "the peer could not be authenticated")                          \
	X(ERR_CONFIG, -1006, "the configuration is not valid")                             \
	X(ERR_STALE, -1007, "the message belongs to an older epoch")                       \
	X(ERR_TIMEOUT, -1008, "no answer before the deadline")                             \
	X(ERR_STATE, -1009, "not possible in the present state")                           \
	X(ERR_CHECKSUM, -1010, "the checksum does not match: the data was changed or cut") \
	X(ERR_UNKNOWN_KEY, -1011, "the key file does not hold this key")                   \
	X(ERR_FOREIGN, -1012, "the object belongs to somebody else and was left alone")    \
	X(ERR_GONE, -1013, "the other side closed the connection")                         \
	X(ERR_LIMIT, -1014, "a configured limit was reached")

enum err_code {
#define ERR_ENUM(name, num, text) name = num,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
};

/* Text of 0, -errno or one of the codes above; static storage, never NULL. */
const char *err_text(int code);

/* Symbolic name ("EPERM", "ERR_FULL"); static storage, never NULL. */
const char *err_name(int code);

#endif
