/* Makes chosen calls to the file system fail; loaded before libc by LD_PRELOAD.

   What is to fail stands in a page that all processes of a command map from the file named in
   EMO_FAULT_PAGE, and tests/hostile/faults/shim.py writes it. Only calls on files below the page's
   folder count, in all processes together: so the K-th call is one place of the command, whichever
   of its processes comes there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, FSYNC, LINK, RENAME, UNLINK, MKDIR, CREATE, KINDS };

struct page {
    int32_t kind;          /* the kind of calls that fail; -1: none, calls are only counted */
    int32_t error;         /* errno of a call that fails */
    int32_t from_there_on; /* 0: the one call fails; 1: all calls from it on */
    int32_t length;        /* of the folder's path; 0: nothing counts */
    uint64_t at;           /* 1-based number of the call that fails */
    _Atomic uint64_t failed;
    _Atomic uint64_t counts[KINDS];
    char folder[1024];
    char victim[1024];     /* path of the first call that failed */
};

static struct page *page;

__attribute__((constructor)) static void map_page(void) {
    const char *name = getenv("EMO_FAULT_PAGE");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) page = found;
}

/* Whether the call on this absolute path fails; then errno is set. */
static int fails(enum kind kind, const char *path) {
    int length = page->length;
    if (strncmp(path, page->folder, length) || (path[length] && path[length] != '/')) return 0;
    uint64_t number = atomic_fetch_add(&page->counts[kind], 1) + 1;
    if (page->kind != (int32_t)kind) return 0;
    if (page->from_there_on ? number < page->at : number != page->at) return 0;
    if (!atomic_fetch_add(&page->failed, 1)) strncpy(page->victim, path, sizeof page->victim - 1);
    errno = page->error;
    return 1;
}

static int fails_open(enum kind kind, int file) {
    if (!page || !page->length) return 0;
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (size < 0) return 0;
    path[size] = 0;
    return fails(kind, path);
}

static int fails_at(enum kind kind, int folder, const char *name) {
    if (!page || !page->length || !name) return 0;
    char link[64], path[2 * PATH_MAX];
    int kept = errno;
    if (name[0] == '/') {
        snprintf(path, sizeof path, "%s", name);
    } else {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
                 folder);
        ssize_t size = readlink(link, path, PATH_MAX - 1);
        if (size < 0) size = 0;
        snprintf(path + size, sizeof path - size, "/%s", name);
    }
    errno = kept;
    return fails(kind, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FILE(kind, result, name, file, parameters, arguments)                                   \
    result name parameters {                                                                       \
        static result(*real) parameters;                                                           \
        if (!real) real = REAL(name);                                                              \
        return fails_open(kind, file) ? -1 : real arguments;                                       \
    }
#define ON_PATH(kind, name, folder, path, parameters, arguments)                                   \
    int name parameters {                                                                          \
        static int(*real) parameters;                                                              \
        if (!real) real = REAL(name);                                                              \
        return fails_at(kind, folder, path) ? -1 : real arguments;                                 \
    }

ON_FILE(WRITE, ssize_t, write, f, (int f, const void *b, size_t n), (f, b, n))
ON_FILE(WRITE, ssize_t, pwrite, f, (int f, const void *b, size_t n, off_t o), (f, b, n, o))
ON_FILE(WRITE, ssize_t, pwrite64, f, (int f, const void *b, size_t n, off64_t o), (f, b, n, o))
ON_FILE(WRITE, ssize_t, writev, f, (int f, const struct iovec *v, int n), (f, v, n))
ON_FILE(WRITE, ssize_t, pwritev, f, (int f, const struct iovec *v, int n, off_t o), (f, v, n, o))
ON_FILE(WRITE, ssize_t, sendfile, f, (int f, int in, off_t *o, size_t n), (f, in, o, n))
ON_FILE(WRITE, ssize_t, sendfile64, f, (int f, int in, off64_t *o, size_t n), (f, in, o, n))
ON_FILE(WRITE, ssize_t, copy_file_range, f,
        (int in, off64_t *p, int f, off64_t *o, size_t n, unsigned g), (in, p, f, o, n, g))
ON_FILE(FSYNC, int, fsync, f, (int f), (f))
ON_FILE(FSYNC, int, fdatasync, f, (int f), (f))
ON_PATH(LINK, link, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(LINK, linkat, d, to, (int c, const char *from, int d, const char *to, int g),
        (c, from, d, to, g))
ON_PATH(RENAME, rename, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(RENAME, renameat, d, to, (int c, const char *from, int d, const char *to),
        (c, from, d, to))
ON_PATH(RENAME, renameat2, d, to, (int c, const char *from, int d, const char *to, unsigned g),
        (c, from, d, to, g))
ON_PATH(UNLINK, unlink, AT_FDCWD, path, (const char *path), (path))
ON_PATH(UNLINK, unlinkat, d, path, (int d, const char *path, int g), (d, path, g))
ON_PATH(UNLINK, rmdir, AT_FDCWD, path, (const char *path), (path))
ON_PATH(MKDIR, mkdir, AT_FDCWD, path, (const char *path, mode_t m), (path, m))
ON_PATH(MKDIR, mkdirat, d, path, (int d, const char *path, mode_t m), (d, path, m))

/* numpy writes arrays by this; libc's own write below it cannot be seen */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) real = REAL(fwrite);
    return fails_open(WRITE, fileno(file)) ? 0 : real(data, size, count, file);
}

#define MODE(flags, mode)                                                                          \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                         \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }
#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        static int (*real)(const char *, int, ...);                                                \
        if (!real) real = REAL(name);                                                              \
        MODE(flags, mode)                                                                          \
        if (flags & O_CREAT && fails_at(CREATE, AT_FDCWD, path)) return -1;                        \
        return real(path, flags, mode);                                                            \
    }
#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        static int (*real)(int, const char *, int, ...);                                           \
        if (!real) real = REAL(name);                                                              \
        MODE(flags, mode)                                                                          \
        if (flags & O_CREAT && fails_at(CREATE, folder, path)) return -1;                          \
        return real(folder, path, flags, mode);                                                    \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
