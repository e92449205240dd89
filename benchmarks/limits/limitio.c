//go:build ignore

/* limitio: what this box's memory and file system can do, without a network.
 *
 *   limitio DIR SUSTAINED_SECONDS BURST_SECONDS STEP_SECONDS FILE_BYTES
 *
 * Prints one JSON object per line. Appended bytes come from a buffer that stays in cache.
 *
 *   crc32c/, memcpy/           over 256 KiB (cache) and 512 MiB (dram); a copy of n bytes counts n
 *   fdatasync/1KiB/G-per-sync/F-files
 *                              G appends of 1 KiB, then fdatasync, to each of F files in turn, with the
 *                              latencies of such a group; over blocks written before, which is the
 *                              fastest case: the file system has no metadata to commit
 *   append/page-cache/         256 KiB pwrites into preallocated space. Burst: the best of three rounds,
 *                              since the first touch of a page in a virtual machine may fault in its
 *                              host. Sustained: written behind in steps of 8 MiB, dropped 64 MiB behind
 *   append/direct/             1 MiB O_DIRECT pwrites, one at a time
 *
 * A burst ends at FILE_BYTES; a sustained append goes on from the start of the file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "crc32c.h"

enum { KIB = 1 << 10, MIB = 1 << 20, CACHED = 256 * KIB, UNCACHED = 512 * MIB, SAMPLES = 1 << 20 };
enum { STEP = 8 * MIB, LAG = 64 * MIB, FILES = 16, SYNC_FILE = 4 * MIB };

static const char *dir;
static double step_s;
static off_t file_bytes; /* a multiple of STEP */
static float *samples; /* microseconds per call */
static uint8_t *block; /* 1 MiB, page-aligned, not zero */

static void die(const char *what) {
    fprintf(stderr, "limitio: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, const char *unit, double value, double s, double bytes, size_t calls) {
    printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,\"seconds\":%.4f,\"bytes\":%.0f",
           name, unit, value, s, bytes);
    size_t n = calls < SAMPLES ? calls : SAMPLES;
    if (n) {
        qsort(samples, n, sizeof *samples, by_value);
        printf(",\"p50_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f,\"calls\":%zu", samples[n / 2],
               samples[n - 1 - n / 100], samples[n - 1], n);
    }
    puts("}");
    fflush(stdout);
}

static int open_file(int number, int flags, off_t bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/limitio-%d-%d", dir, getpid(), number);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | flags, 0600);
    if (fd < 0) die(path);
    unlink(path); /* gone when closed, however this program ends */
    if (fallocate(fd, 0, 0, bytes)) die("fallocate");
    return fd;
}

static void write_all(int fd, size_t n, off_t at) {
    if (pwrite(fd, block, n, at) != (ssize_t)n) die("pwrite");
}

/* Writes the last step behind, and drops the one that is LAG older; both are positions without end. */
static void write_behind(int fd, off_t end) {
    off_t old = end - LAG - STEP;
    sync_file_range(fd, (end - STEP) % file_bytes, STEP, SYNC_FILE_RANGE_WRITE);
    if (old < 0) return;
    sync_file_range(fd, old % file_bytes, STEP, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                                SYNC_FILE_RANGE_WAIT_AFTER);
    posix_fadvise(fd, old % file_bytes, STEP, POSIX_FADV_DONTNEED);
}

static void append(const char *name, int flags, size_t n, double s, int burst) {
    double best = 0, best_s = 0, best_bytes = 0;
    size_t calls = 0;
    for (int round = 0; round < (burst ? 3 : 1); round++) {
        int fd = open_file(0, flags, file_bytes);
        double start = now(), last = start;
        off_t at = 0;
        for (calls = 0; (last < start + s && (!burst || at < file_bytes)) || !at; calls++) {
            write_all(fd, n, at % file_bytes);
            at += n;
            if (!burst && !flags && at % STEP == 0) write_behind(fd, at);
            double t = now();
            samples[calls % SAMPLES] = (t - last) * 1e6;
            last = t;
        }
        if (at / (last - start) > best) best_s = last - start, best_bytes = at, best = at / best_s;
        close(fd);
    }
    print(name, "GB/s", best / 1e9, best_s, best_bytes, burst ? 0 : calls);
}

static void sync_groups(size_t n, int group, int files) {
    int fd[FILES];
    off_t at[FILES] = {0};
    for (int i = 0; i < files; i++) {
        fd[i] = open_file(i, 0, SYNC_FILE);
        for (off_t p = 0; p < SYNC_FILE; p += MIB) write_all(fd[i], MIB, p);
        if (fsync(fd[i])) die("fsync");
    }
    size_t calls = 0;
    double start = now(), last = start;
    for (int i = 0; last < start + step_s || !calls; i = (i + 1) % files) {
        for (int k = 0; k < group; k++, at[i] += n) {
            if (at[i] + (off_t)n > SYNC_FILE) at[i] = 0;
            write_all(fd[i], n, at[i]);
        }
        if (fdatasync(fd[i])) die("fdatasync");
        double t = now();
        if (calls < SAMPLES) samples[calls] = (t - last) * 1e6;
        last = t, calls++;
    }
    for (int i = 0; i < files; i++) close(fd[i]);
    char name[64];
    snprintf(name, sizeof name, "fdatasync/%zuKiB/%d-per-sync/%d-files", n / KIB, group, files);
    double s = last - start, appends = (double)calls * group;
    if (n == KIB) print(name, "appends/s", appends / s, s, appends * n, calls);
    else print(name, "GB/s", appends * n / s / 1e9, s, appends * n, calls);
}

/* Goes round n bytes in pieces for step_s; with a target it copies, without it sums. */
static void memory(const char *name, uint8_t *target, const uint8_t *source, size_t n) {
    volatile uint32_t sink;
    size_t bytes = 0;
    double start = now(), end = start;
    for (; end < start + step_s || !bytes; end = now())
        for (int i = 0; i < 16; i++, bytes += CACHED) {
            size_t at = bytes % n;
            if (target) memcpy(target + at, source + at, CACHED), sink = target[at + bytes % CACHED];
            else sink = crc32c(0, source + at, CACHED);
        }
    (void)sink;
    print(name, "GB/s", bytes / (end - start) / 1e9, end - start, bytes, 0);
}

static uint8_t *map(size_t n) {
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    for (size_t i = 0; i < n; i += 8) memcpy(p + i, &(uint64_t){i * 0x9E3779B97F4A7C15u}, 8);
    return p;
}

int main(int argc, char **argv) {
    if (argc != 6) errno = EINVAL, die("DIR SUSTAINED_SECONDS BURST_SECONDS STEP_SECONDS FILE_BYTES");
    double sustained_s = atof(argv[2]), burst_s = atof(argv[3]);
    dir = argv[1], step_s = atof(argv[4]);
    file_bytes = (atoll(argv[5]) + STEP - 1) / STEP * STEP;
    samples = calloc(SAMPLES, sizeof *samples);
    block = map(MIB);
    crc_init();
    uint8_t *source = map(UNCACHED), *target = map(UNCACHED);
    memory("crc32c/cache", NULL, source, CACHED);
    memory("crc32c/dram", NULL, source, UNCACHED);
    memory("memcpy/cache", target, source, CACHED);
    memory("memcpy/dram", target, source, UNCACHED);
    munmap(source, UNCACHED), munmap(target, UNCACHED);
    for (int files = 1; files <= FILES; files *= FILES)
        for (int group = 1; group <= 64; group *= group == 1 ? 16 : 4) sync_groups(KIB, group, files);
    sync_groups(64 * KIB, 1, FILES);
    append("append/page-cache/burst", 0, CACHED, burst_s, 1);
    append("append/direct/burst", O_DIRECT, MIB, burst_s, 1);
    append("append/page-cache/sustained", 0, CACHED, sustained_s, 0);
    append("append/direct/sustained", O_DIRECT, MIB, sustained_s, 0);
    return 0;
}
