//go:build ignore

/* limitd: Produce (version 8) and Fetch (version 11) answered with as little work as there can be.
 *
 *   limitd [-port P] [-dir DIR] [-threads N] [-crc 0|1] [-append 0|1] [-retain BYTES]
 *
 * Prints "listening PORT"; ends on SIGTERM, SIGINT or the end of its standard input, and then prints
 * "cpu_seconds X". What it promises and what it leaves out is told in doc.go.
 *
 * Each thread has an edge-triggered epoll and two buffers that stay in its second-level cache: "in"
 * for one receive, "out" for the answers to it. A connection gets turns of 256 KiB; one that has more
 * to do stays on its thread's list. Batches go CRC -> pwrite chunk by chunk as they come and are
 * answered when whole; fetches are answered by a header with MSG_MORE and sendfile. While the socket
 * has not taken an answer, no further request is read from it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "crc32c.h"

enum { CHUNK = 256 << 10, HEAD_MAX = 4096, FRAME_MAX = 128 << 20, STEP = 64 << 20 };
enum { FILES = 1 << 14, OPEN = 1 << 10, BATCH_HEADER = 61, CRC_FROM = 21, ACK_TAIL = 36 };
enum { OUT_OF_RANGE = 1, CORRUPT = 2, UNKNOWN = 3, TIMED_OUT = 7, INVALID = 87 }; /* Kafka's codes */

struct file { /* of a topic-partition; never freed */
    char key[264]; /* topic, 0, partition */
    int fd, bytes, records; /* of every batch; a batch's number is its slot */
    int64_t lap, slots, whole, space; /* slots in the file, given out, fetchable; bytes allocated */
    uint8_t done[OPEN]; /* by slot: written, but not all before it are */
};
struct conn {
    int fd, readable, writable, hangup, listed, acks, error;
    struct conn *next;
    uint8_t *held, *out, ack[320]; /* requests not looked at yet; answers not sent yet; the batch's */
    size_t held_len, out_len, ack_len, left, body_left; /* left: of the batch that is coming in */
    off_t at, body_at; /* where those bytes go; where the records to send come from */
    int body_fd;
    struct file *file; /* of the batch; NULL if it is not written */
    int64_t slot;
    uint32_t crc, crc_want, crc_skip;
};
struct cursor { const uint8_t *p, *end; int bad; };

static const char *dir = ".";
static long port, threads = 1, check = 1, append = 1, retain = 1 << 30;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards files, what they hold, next_offset */
static struct file *files[FILES]; /* open hash table that only grows */
static int64_t next_offset; /* where nothing is appended */
static __thread uint8_t in[CHUNK + HEAD_MAX] __attribute__((aligned(4096))), out[CHUNK + 2 * HEAD_MAX];
static __thread size_t out_len;

static void die(const char *what) {
    fprintf(stderr, "limitd: %s: %s\n", what, strerror(errno));
    exit(1);
}
static const uint8_t *skip(struct cursor *c, int64_t n) {
    const uint8_t *p = c->p;
    if (c->end - p < n) c->bad = 1, c->p = c->end;
    else if (n > 0) c->p += n;
    return p;
}
static int64_t number(const uint8_t *p, int n) { /* big endian, signed */
    uint64_t v = (int8_t)*p;
    while (--n) v = v << 8 | *++p;
    return v;
}
static int64_t get(struct cursor *c, int n) {
    const uint8_t *p = skip(c, n);
    return c->bad ? 0 : number(p, n);
}
static void put(uint8_t **p, uint64_t v, int n) {
    while (n--) *(*p)++ = v >> 8 * n;
}

/* Under the lock. Returns NULL for a name that no file can have, and for an absent one if !create. */
static struct file *find(const uint8_t *name, int n, int32_t index, int create) {
    char key[264] = {0}, path[4096];
    if (n < 1 || n > 249 || name[0] == '.' || memchr(name, '/', n) || memchr(name, 0, n)) return NULL;
    memcpy(key, name, n), memcpy(key + n + 1, &index, 4);
    for (uint32_t i = crc32c(0, (uint8_t *)key, n + 5), end = i + FILES; i != end; i++) {
        struct file **f = &files[i % FILES];
        if (*f && !memcmp((*f)->key, key, n + 5)) return *f;
        if (*f) continue;
        if (!create) return NULL;
        *f = calloc(1, sizeof **f);
        memcpy((*f)->key, key, n + 5);
        snprintf(path, sizeof path, "%s/%s-%d.log", dir, key, index);
        if (((*f)->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) die(path);
        return *f;
    }
    return NULL;
}

/* Gives the batch a slot, its offset, and space in the file; an error leaves it unwritten. */
static int64_t reserve(struct conn *c, struct file *f, int bytes, int records) {
    if (!append) return next_offset += records, next_offset - records;
    c->error = !f ? UNKNOWN : f->slots && (bytes != f->bytes || records != f->records) ? INVALID
               : f->slots - f->whole >= OPEN ? TIMED_OUT : 0;
    if (c->error) return -1;
    if (!f->slots) f->bytes = bytes, f->records = records, f->lap = retain > bytes ? retain / bytes : 1;
    c->file = f, c->slot = f->slots++, c->at = c->slot % f->lap * bytes;
    for (; f->space < c->at + bytes; f->space += STEP)
        if (fallocate(f->fd, 0, f->space, STEP) && errno != EOPNOTSUPP) die("fallocate");
    return c->slot * records;
}
static void release(struct conn *c, int whole) {
    struct file *f = c->file;
    pthread_mutex_lock(&lock);
    if (!whole && c->slot + 1 == f->slots) f->slots--;
    else f->done[c->slot % OPEN] = 1;
    for (; f->whole < f->slots && f->done[f->whole % OPEN]; f->whole++) f->done[f->whole % OPEN] = 0;
    pthread_mutex_unlock(&lock);
    c->file = NULL;
}

/* Sends what the socket takes, and keeps the rest in c->out. */
static int flush(struct conn *c, const uint8_t *p, size_t n, int flags) {
    while (n && c->writable) {
        ssize_t sent = send(c->fd, p, n, flags | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return -1;
        if (sent < 0) c->writable = 0;
        else p += sent, n -= sent;
    }
    uint8_t *rest = n ? memcpy(malloc(n), p, n) : NULL;
    free(c->out);
    return c->out = rest, c->out_len = n, 0;
}
static int send_body(struct conn *c, size_t *budget) {
    while (c->body_left && !c->out_len && c->writable && *budget) {
        size_t n = c->body_left < *budget ? c->body_left : *budget;
        ssize_t sent = sendfile(c->fd, c->body_fd, &c->body_at, n);
        if (sent == 0 || (sent < 0 && errno != EAGAIN)) return -1;
        if (sent < 0) c->writable = 0;
        else c->body_left -= sent, *budget -= sent;
    }
    return 0;
}

/* Takes n more bytes of the batch; with the last one come its answer and its place in the log. */
static void feed(struct conn *c, const uint8_t *p, size_t n) {
    size_t past = n < c->crc_skip ? n : c->crc_skip;
    if (check) c->crc = crc32c(c->crc, p + past, n - past), c->crc_skip -= past;
    if (c->file && pwrite(c->file->fd, p, n, c->at) != (ssize_t)n) die("pwrite");
    c->at += n, c->left -= n;
    if (c->left) return;
    if (check && c->crc != c->crc_want) c->error = CORRUPT;
    if (c->file) release(c, !c->error);
    uint8_t *error = c->ack + c->ack_len - ACK_TAIL;
    if (c->error) put(&error, c->error, 2), memset(error, 255, 8);
    if (c->acks) memcpy(out + out_len, c->ack, c->ack_len), out_len += c->ack_len;
}
static int produce(struct conn *c, struct cursor *h, int32_t correlation) {
    skip(h, get(h, 2)), c->acks = get(h, 2), skip(h, 4);
    int one_topic = get(h, 4) == 1, n = get(h, 2);
    const uint8_t *name = skip(h, n);
    int one_partition = get(h, 4) == 1, index = get(h, 4), bytes = get(h, 4);
    const uint8_t *batch = skip(h, BATCH_HEADER);
    if (h->bad) return 0;
    if (!one_topic || !one_partition || n < 1 || n > 249 || bytes < BATCH_HEADER) return -1;
    h->p = batch;
    c->error = 0, c->file = NULL, c->left = bytes;
    c->crc = 0, c->crc_skip = CRC_FROM, c->crc_want = number(batch + 17, 4);
    pthread_mutex_lock(&lock);
    struct file *f = append ? find(name, n, index, 1) : NULL;
    int64_t offset = reserve(c, f, bytes, number(batch + 57, 4));
    int64_t start = f && f->slots > f->lap ? (f->slots - f->lap) * f->records : 0;
    pthread_mutex_unlock(&lock);
    uint8_t *patch = (uint8_t *)batch, *p = c->ack + 4;
    put(&patch, offset, 8);
    put(&p, correlation, 4), put(&p, 1, 4), put(&p, n, 2), memcpy(p, name, n), p += n;
    put(&p, 1, 4), put(&p, index, 4), put(&p, c->error, 2), put(&p, offset, 8), put(&p, -1, 8);
    put(&p, start, 8), put(&p, 0, 4), put(&p, -1, 2), put(&p, 0, 4);
    c->ack_len = p - c->ack, p = c->ack, put(&p, c->ack_len - 4, 4);
    return 1;
}
static int fetch(struct conn *c, struct cursor *h, int32_t correlation, size_t *budget) {
    skip(h, 4 + 4 + 4 + 4 + 1 + 4 + 4);
    int one_topic = get(h, 4) == 1, n = get(h, 2);
    const uint8_t *name = skip(h, n);
    int one_partition = get(h, 4) == 1, index = get(h, 4);
    int64_t offset = (skip(h, 4), get(h, 8)), bytes_max = (skip(h, 8), get(h, 4)), batches = 0;
    if (h->bad || !one_topic || !one_partition || n < 1 || n > 249) return -1;
    pthread_mutex_lock(&lock);
    struct file *f = append ? find(name, n, index, 0) : NULL;
    int64_t records = f && f->slots ? f->records : 1, slot = offset / records;
    int64_t end = f ? f->whole : 0, start = f && f->slots > f->lap ? f->slots - f->lap : 0;
    int error = !f ? UNKNOWN : offset < start * records || slot > end ? OUT_OF_RANGE : 0;
    if (!error && slot < end) {
        batches = bytes_max / f->bytes > 1 ? bytes_max / f->bytes : 1;
        if (batches > end - slot) batches = end - slot;
        if (batches > f->lap - slot % f->lap) batches = f->lap - slot % f->lap;
        c->body_fd = f->fd, c->body_left = batches * f->bytes, c->body_at = slot % f->lap * f->bytes;
    }
    pthread_mutex_unlock(&lock);
    uint8_t *head = out + out_len, *p = head + 4;
    put(&p, correlation, 4), put(&p, 0, 4), put(&p, 0, 2), put(&p, 0, 4), put(&p, 1, 4);
    put(&p, n, 2), memcpy(p, name, n), p += n, put(&p, 1, 4), put(&p, index, 4), put(&p, error, 2);
    put(&p, end * records, 8), put(&p, end * records, 8), put(&p, start * records, 8);
    put(&p, -1, 4), put(&p, -1, 4), put(&p, c->body_left, 4);
    put(&head, p - head - 4 + c->body_left, 4), out_len = p - out;
    if (!c->body_left) return 1;
    if (flush(c, out, out_len, MSG_MORE)) return -1;
    out_len = 0;
    return send_body(c, budget) ? -1 : 1;
}

/* Looks at one request and returns how many bytes of it are done with: 0 if more must come first, -1
 * if this is none of ours. Of a Produce that is all before the batch. */
static int64_t request(struct conn *c, const uint8_t *p, size_t n, size_t *budget) {
    if (n < 12) return 0;
    int64_t size = number(p, 4), kind = number(p + 4, 4);
    if (size < 14 || size > FRAME_MAX || (kind != 8 && kind != (1 << 16 | 11))) return -1;
    int enough = n >= HEAD_MAX || n >= (size_t)size + 4;
    struct cursor h = {p + 12, p + (n < (size_t)size + 4 ? n : (size_t)size + 4), 0};
    skip(&h, get(&h, 2));
    if (kind == 8) {
        int r = h.bad ? 0 : produce(c, &h, number(p + 8, 4));
        return r > 0 && h.p - p + (int64_t)c->left == size + 4 ? h.p - p : r || enough ? -1 : 0;
    }
    if (size + 4 > HEAD_MAX) return -1;
    return !enough ? 0 : fetch(c, &h, number(p + 8, 4), budget) < 0 ? -1 : size + 4;
}

/* Returns whether there is more to do at once, and -1 if the connection is to be closed. */
static int turn(struct conn *c) {
    size_t budget = CHUNK, have = c->held_len, used = 0;
    ssize_t n = 1;
    if (c->out_len && flush(c, c->out, c->out_len, c->body_left ? MSG_MORE : 0)) return -1;
    if (send_body(c, &budget)) return -1;
    if (c->out_len || c->body_left) return c->writable;
    if (have) memcpy(in, c->held, have);
    if (c->readable && have < HEAD_MAX) {
        n = recv(c->fd, in + have, CHUNK, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
        if (n < CHUNK && !c->hangup) c->readable = 0;
        if (n > 0) have += n;
    }
    for (n = 1; n && used < have && budget && !c->out_len && !c->body_left; used += n) {
        if (!c->left) n = request(c, in + used, have - used, &budget);
        else feed(c, in + used, n = have - used < c->left ? have - used : c->left);
        if (n < 0) return -1;
    }
    if (out_len && flush(c, out, out_len, 0)) return -1;
    out_len = 0;
    if (have - used > c->held_len) c->held = realloc(c->held, have - used);
    c->held_len = have - used, memcpy(c->held, in + used, have - used);
    return c->out_len || c->body_left ? c->writable : c->readable || (n && used < have);
}
static void *loop(void *arg) {
    struct epoll_event events[64];
    struct conn *ready = NULL, *c, *next;
    for (int r, n, ep = *(int *)arg;;) {
        if ((n = epoll_wait(ep, events, 64, ready ? 0 : -1)) < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            c = events[i].data.ptr;
            c->readable |= !!(events[i].events & ~EPOLLOUT), c->writable |= !!(events[i].events & EPOLLOUT);
            c->hangup |= !!(events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
            if (!c->listed) c->listed = 1, c->next = ready, ready = c;
        }
        for (c = ready, ready = NULL; c; c = next) {
            next = c->next, r = turn(c), c->listed = r > 0;
            if (r > 0) c->next = ready, ready = c;
            if (r >= 0) continue;
            if (c->file) release(c, 0);
            close(c->fd), free(c->held), free(c->out), free(c), out_len = 0;
        }
    }
    return NULL;
}
static int serve(int listener, int signals) {
    int ep[64];
    pthread_t id;
    for (int i = 0; i < threads; i++)
        if ((ep[i] = epoll_create1(EPOLL_CLOEXEC)) < 0 || pthread_create(&id, NULL, loop, &ep[i])) die("thread");
    for (long accepted = 0;;) {
        struct pollfd fds[3] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}, {0, POLLIN, 0}};
        char byte;
        if (poll(fds, 3, -1) < 0 || fds[1].revents || (fds[2].revents && read(0, &byte, 1) <= 0)) return 0;
        int fd = fds[0].revents ? accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
        if (fd < 0) continue;
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        c->fd = fd;
        if (epoll_ctl(ep[accepted++ % threads], EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}
int main(int argc, char **argv) {
    struct { const char *name; long *value; } flags[] = {{"-port", &port}, {"-threads", &threads}, {"-crc", &check},
        {"-append", &append}, {"-retain", &retain}};
    for (int i = 1, k; i < argc; i += 2) {
        for (k = 4; k >= 0 && strcmp(argv[i], flags[k].name); k--) {}
        if (i + 1 == argc || (k < 0 && strcmp(argv[i], "-dir"))) errno = EINVAL, die(argv[i]);
        if (k < 0) dir = argv[i + 1];
        else *flags[k].value = atol(argv[i + 1]);
    }
    if (threads < 1 || threads > 64) errno = ERANGE, die("-threads, 1 to 64");
    crc_init();
    sigset_t ends; /* blocked in every thread, read from a descriptor by this one */
    sigemptyset(&ends), sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&at, n) || listen(fd, 4096) || getsockname(fd, (void *)&at, &n)) die("bind");
    printf("listening %d\n", ntohs(at.sin_port)), fflush(stdout);
    serve(fd, signalfd(-1, &ends, SFD_CLOEXEC));
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("cpu_seconds %.6f\n", used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6);
    fflush(stdout), _exit(0); /* the other threads are still at work */
}
