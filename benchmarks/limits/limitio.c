//go:build ignore

/* limitio: what this box's memory and file system can do, without a network.
 *
 *   limitio DIR SUSTAINED_SECONDS BURST_SECONDS STEP_SECONDS FILE_BYTES
 *
 * Prints one JSON object per line. Appended bytes come from a buffer that stays in cache.
 *
 *   crc32c/, memcpy/     over 256 KiB (cache) and 512 MiB (dram); a copy of n bytes counts n
 *   fdatasync/1KiB/G-per-sync/F-files   G appends of 1 KiB, then fdatasync, to each of F files in
 *                        turn, with the latencies of such a group; over blocks written before, which
 *                        is the fastest case, as the file system has no metadata to commit
 *   append/page-cache/   256 KiB pwrites into preallocated space; sustained ones are written behind
 *                        in steps of 8 MiB and dropped from memory 64 MiB behind
 *   append/direct/       1 MiB O_DIRECT pwrites, one at a time
 *
 * A burst ends at FILE_BYTES and is printed three times, as a virtual machine's first touch of a page
 * may fault in its host; a sustained append goes on from the start of the file. */
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
static off_t file_bytes;       /* a multiple of STEP */
static float samples[SAMPLES]; /* microseconds per call, the latest ones */
static uint8_t *block;         /* 1 MiB, page-aligned, not zero */

static void die(const char *what) {
    fprintf(stderr, "limitio: %s: %s\n", what, strerror(errno)), exit(1);
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static int by_value(const void *a, const void *b) {
    float x = *(float *)a, y = *(float *)b;
    return (x > y) - (x < y);
}
static void print(const char *name, const char *unit, double value, double s, double bytes, size_t calls) {
    size_t n = calls < SAMPLES ? calls : SAMPLES; /* what is not timed has none */
    qsort(samples, n, sizeof *samples, by_value);
    printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g", name, unit, value);
    printf(",\"seconds\":%.4f,\"bytes\":%.0f", s, bytes);
    if (n) printf(",\"p50_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f,\"calls\":%zu", samples[n / 2],
                  samples[n - 1 - n / 100], samples[n - 1], n);
    puts("}"), fflush(stdout);
}
static int open_file(int flags, off_t bytes) { /* unnamed: gone however this program ends */
    int fd = open(dir, O_RDWR | O_TMPFILE | flags, 0600);
    if (fd < 0 || fallocate(fd, 0, 0, bytes)) die(dir);
    return fd;
}
static void write_all(int fd, ssize_t n, off_t at) { if (pwrite(fd, block, n, at) != n) die("pwrite"); }
static void write_behind(int fd, off_t end) { /* end counts on beyond the end of the file */
    off_t old = end - LAG - STEP;
    sync_file_range(fd, (end - STEP) % file_bytes, STEP, SYNC_FILE_RANGE_WRITE);
    if (old < 0) return;
    sync_file_range(fd, old % file_bytes, STEP, SYNC_FILE_RANGE_WRITE_AND_WAIT);
    posix_fadvise(fd, old % file_bytes, STEP, POSIX_FADV_DONTNEED);
}
static void append(const char *name, int flags, size_t n, double s, int burst) {
    int fd = open_file(flags, file_bytes);
    double start = now(), last = start, t;
    size_t calls = 0;
    off_t at = 0;
    for (; !at || (last < start + s && (!burst || at < file_bytes)); last = t) {
        write_all(fd, n, at % file_bytes), at += n;
        if (!burst && !flags && at % STEP == 0) write_behind(fd, at);
        samples[calls++ % SAMPLES] = ((t = now()) - last) * 1e6;
    }
    print(name, "GB/s", at / (last - start) / 1e9, last - start, at, calls), close(fd);
}
static void sync_groups(size_t n, int group, int files) {
    int fd[FILES];
    off_t at[FILES] = {0};
    size_t calls = 0;
    char name[64];
    for (int i = 0; i < files; i++) {
        fd[i] = open_file(0, SYNC_FILE);
        for (off_t p = 0; p < SYNC_FILE; p += MIB) write_all(fd[i], MIB, p);
        if (fsync(fd[i])) die("fsync");
    }
    double start = now(), last = start, t;
    for (int i = 0; !calls || last < start + step_s; i = (i + 1) % files, last = t) {
        for (int k = 0; k < group; k++) write_all(fd[i], n, at[i]), at[i] = (at[i] + n) % SYNC_FILE;
        if (fdatasync(fd[i])) die("fdatasync");
        samples[calls++ % SAMPLES] = ((t = now()) - last) * 1e6;
    }
    for (int i = 0; i < files; i++) close(fd[i]);
    snprintf(name, sizeof name, "fdatasync/%zuKiB/%d-per-sync/%d-files", n / KIB, group, files);
    double s = last - start, appends = (double)calls * group, bytes = appends * n;
    if (n == KIB) print(name, "appends/s", appends / s, s, bytes, calls);
    else print(name, "GB/s", bytes / s / 1e9, s, bytes, calls);
}
static void memory(const char *name, uint8_t *target, const uint8_t *source, size_t n) {
    volatile uint32_t sink; /* keeps the work from being left out; without a target it is a CRC */
    size_t bytes = 0;
    double start = now(), end = start;
    for (; !bytes || end < start + step_s; end = now())
        for (int i = 0; i < 16; i++, bytes += CACHED) {
            const uint8_t *p = source + bytes % n;
            sink = target ? *(uint8_t *)memcpy(target + bytes % n, p, CACHED) : crc32c(0, p, CACHED);
        }
    (void)sink, print(name, "GB/s", bytes / (end - start) / 1e9, end - start, bytes, 0);
}
static uint8_t *map(size_t n) {
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    return memset(p, 0xA5, n);
}
int main(int argc, char **argv) {
    if (argc != 6) errno = EINVAL, die("DIR SUSTAINED_SECONDS BURST_SECONDS STEP_SECONDS FILE_BYTES");
    double sustained_s = atof(argv[2]), burst_s = atof(argv[3]); /* the rest is needed further up */
    dir = argv[1], step_s = atof(argv[4]), file_bytes = (atoll(argv[5]) + STEP - 1) / STEP * STEP;
    uint8_t *source = map(UNCACHED), *target = map(UNCACHED);
    memory("crc32c/cache", NULL, source, CACHED), memory("crc32c/dram", NULL, source, UNCACHED);
    memory("memcpy/cache", target, source, CACHED), memory("memcpy/dram", target, source, UNCACHED);
    munmap(source, UNCACHED), munmap(target, UNCACHED), block = map(MIB);
    for (int files = 1; files <= FILES; files *= FILES)
        for (int group = 1; group <= 64; group *= group == 1 ? 16 : 4) sync_groups(KIB, group, files);
    sync_groups(64 * KIB, 1, FILES);
    for (int i = 0; i < 3; i++) append("append/page-cache/burst", 0, CACHED, burst_s, 1);
    for (int i = 0; i < 3; i++) append("append/direct/burst", O_DIRECT, MIB, burst_s, 1);
    append("append/page-cache/sustained", 0, CACHED, sustained_s, 0);
    append("append/direct/sustained", O_DIRECT, MIB, sustained_s, 0);
}
