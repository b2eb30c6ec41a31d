/* A disk whose syncs take long: preloaded (ld.so(8), LD_PRELOAD), it delays fsync and fdatasync by $SLOW_DISK_MS.
 * Each call, and each rename, is a line of the file $SLOW_DISK_LOG, so that a test can count them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void note(const char *what, const char *name) {
    const char *log = getenv("SLOW_DISK_LOG");
    char line[512] = "";
    int file;
    ssize_t written;
    if (!log || (file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        return;
    strncat(line, what, 20);
    strncat(line, " ", 2);
    strncat(line, name, sizeof line - 30);
    strncat(line, "\n", 2);
    written = write(file, line, strlen(line));
    (void)written;
    close(file);
}

static void wait_for_the_disk(void) {
    const char *text = getenv("SLOW_DISK_MS");
    long ms = text ? atol(text) : 0;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
}

int fsync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    note("sync", "");
    wait_for_the_disk();
    return real(file);
}

int fdatasync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    note("sync", "");
    wait_for_the_disk();
    return real(file);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    note("rename", to);
    return real(from, to);
}
