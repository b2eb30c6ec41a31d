/* A slow disk: preloaded (ld.so(8), LD_PRELOAD), it delays fsync and fdatasync by $SLOW_DISK_MS.
 * With $SLOW_DISK_ALL it delays everything else that changes a file below that directory as well.
 * With $SLOW_DISK_SINCE the disk is quick until a file of that name is there.
 * Each sync, and each rename, is a line of the file $SLOW_DISK_LOG, so that a test can count them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...) ((result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static void note(const char *what, const char *name) {
    const char *log = getenv("SLOW_DISK_LOG");
    char line[512] = "";
    long file, written;
    if (!log || (file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        return;
    strncat(line, what, 20);
    strncat(line, " ", 2);
    strncat(line, name, sizeof line - 30);
    strncat(line, "\n", 2);
    written = syscall(SYS_write, file, line, strlen(line));
    (void)written;
    close((int)file);
}

static void wait_for_the_disk(void) {
    const char *text = getenv("SLOW_DISK_MS"), *since = getenv("SLOW_DISK_SINCE");
    long ms = text ? atol(text) : 0;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    if (since && access(since, F_OK) != 0)
        return;
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
}

static void wait_for_all(const char *path) {
    const char *all = getenv("SLOW_DISK_ALL");
    if (all && strncmp(path, all, strlen(all)) == 0)
        wait_for_the_disk();
}

int fsync(int file) {
    note("sync", "");
    wait_for_the_disk();
    return REAL(int, "fsync", int)(file);
}

int fdatasync(int file) {
    note("sync", "");
    wait_for_the_disk();
    return REAL(int, "fdatasync", int)(file);
}

int rename(const char *from, const char *to) {
    note("rename", to);
    wait_for_all(to);
    return REAL(int, "rename", const char *, const char *)(from, to);
}

int unlink(const char *path) {
    wait_for_all(path);
    return REAL(int, "unlink", const char *)(path);
}

int mkdir(const char *path, mode_t mode) {
    wait_for_all(path);
    return REAL(int, "mkdir", const char *, mode_t)(path, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    if (flags & O_CREAT)
        wait_for_all(path);
    return REAL(int, "open64", const char *, int, ...)(path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t length) {
    char name[64], path[512];
    ssize_t read;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    if ((read = readlink(name, path, sizeof path - 1)) > 0) {
        path[read] = 0;
        wait_for_all(path);
    }
    return REAL(ssize_t, "write", int, const void *, size_t)(file, bytes, length);
}
