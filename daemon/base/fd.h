/*
 * Purpose: which files the kernel closes first when this process dies.
 * Owns:    the floors below.
 * Thread:  any.
 * In/Out:  a descriptor, moved.
 * Errors:  none: a descriptor that cannot be moved stays where it is; the peer then learns of the death later.
 *
 * A dead process's files are closed from the highest number down (kernel/task_work.c: last added, first run), and a
 * packet socket takes the kernel some 10 ms (synchronize_net). What tells others of the death must not wait for that:
 * first the connection of whoever goes on in our stead, then the guardian's pipe, then the listeners, then the channel, so that whoever sees the channel end is refused at
 * once when it dials.
 */
#ifndef KT_BASE_FD_H
#define KT_BASE_FD_H

#include <fcntl.h>
#include <unistd.h>

enum fd_floor {
	FD_CHANNEL = 600, /* below 1024, the usual limit of open files */
	FD_LISTENER = 700,
	FD_GUARDIAN = 800,
	FD_LAYER = 900,
};

/* Moves fd to the first free number from floor on; returns the number it has now. -1 stays -1. */
static inline int fd_raise(int fd, enum fd_floor floor)
{
	int high = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, (int)floor) : -1;
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

#endif
