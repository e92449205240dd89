//go:build ignore

/* limitd: Produce (version 8) and Fetch (version 11) answered with as little work as there can be.
 *
 *   limitd [-port P] [-dir DIR] [-threads N] [-crc 0|1] [-append 0|1] [-retain BYTES]
 *
 * Prints "listening PORT"; ends on SIGTERM, SIGINT or the end of its standard input, and then prints
 * "cpu_seconds X". What it promises and what it leaves out is told in doc.go.
 *
 * Each thread has an edge-triggered epoll and one receive buffer that stays in its second-level cache.
 * A connection gets turns of 256 KiB; one with more to do stays on its thread's list. Batches go
 * CRC -> pwrite chunk by chunk as they come and are answered when whole, fetches by a header with
 * MSG_MORE and sendfile. While the socket has not taken an answer, no further request is looked at. */
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
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "crc32c.h"

enum { CHUNK = 256 << 10, STEP = 64 << 20, OUT_MAX = 32 << 10, OPEN = 1024, CHAINS = 4096, THREADS_MAX = 64 };
enum { FRAME_MAX = 128 << 20, HEAD_MAX = 1024, TOPIC_MAX = 249, ANSWER_MAX = 512, ACK_TAIL = 36 };
enum { CRC_AT = 17, CRC_FROM = 21, COUNT_AT = 57, BATCH_HEAD = 61 }; /* positions in a batch */
enum { PRODUCE_8 = 8, FETCH_11 = 1 << 16 | 11 }; /* API key and version */
enum { OUT_OF_RANGE = 1, CORRUPT = 2, UNKNOWN = 3, TIMED_OUT = 7, INVALID = 87 }; /* Kafka's codes */

struct file { /* of a topic-partition; never freed */
    struct file *next;
    uint8_t key[264]; /* as in every request: 1 topic, its name, 1 partition, its index */
    int key_len, fd, bytes, records; /* of every batch; a batch's number is its slot */
    int64_t lap, slots, whole, space; /* slots in the file, given out, fetchable; bytes allocated */
    uint8_t done[OPEN]; /* by slot: written, but not all before it are */
};
struct conn {
    int fd, readable, writable, hangup, listed, body_fd, acks, error;
    struct conn *next;
    uint8_t *held, ack[ANSWER_MAX], out[OUT_MAX]; /* requests not looked at; the batch's answer; others */
    size_t held_len, ack_len, sent, queued, left, body_left; /* left: of the batch that is coming in */
    off_t at, body_at; /* where its bytes go; where the records to send after out come from */
    struct file *file; /* of the batch; NULL if it is not written */
    int64_t slot;
    uint32_t crc, crc_want, crc_skip;
};
#define MIN(a, b) ((a) < (b) ? (a) : (b))
struct cursor { const uint8_t *p, *end; int bad; };
static long port, threads = 1, check = 1, append = 1, retain = 1 << 30;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards files, all in them, next_offset */
static struct file *files[CHAINS];
static int64_t next_offset; /* where nothing is appended */
static __thread uint8_t in[CHUNK + HEAD_MAX];

static void die(const char *what) {
    fprintf(stderr, "limitd: %s: %s\n", what, strerror(errno));
    _exit(1);
}
static int64_t number(const uint8_t *p, int n) { /* big endian, signed */
    uint64_t v = (int8_t)*p;
    while (--n) v = v << 8 | *++p;
    return v;
}
static const uint8_t *skip(struct cursor *c, int64_t n) {
    c->bad |= c->end - c->p < n;
    return c->bad || n < 0 ? c->p : (c->p += n) - n; /* a null string has length -1 */
}
static int64_t get(struct cursor *c, int n) {
    const uint8_t *p = skip(c, n);
    return c->bad ? 0 : number(p, n);
}
static void put(uint8_t **p, uint64_t v, int n) {
    while (n--) *(*p)++ = v >> 8 * n;
}
static struct file *find(const uint8_t *key, int n, int create) {
    const uint8_t *name = key + 6;
    char path[300];
    struct file **f = &files[crc32c(0, key, n) % CHAINS];
    while (*f && ((*f)->key_len != n || memcmp((*f)->key, key, n))) f = &(*f)->next;
    if (*f || !create || name[0] == '.' || memchr(name, '/', n - 14) || memchr(name, 0, n - 14)) return *f;
    *f = calloc(1, sizeof **f), (*f)->key_len = n, memcpy((*f)->key, key, n);
    snprintf(path, sizeof path, "%.*s-%d.log", n - 14, name, (int)number(key + n - 4, 4));
    if (((*f)->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) die(path);
    return *f;
}
static int64_t reserve(struct conn *c, struct file *f, int bytes, int records) { /* returns the offset */
    if (!append) return next_offset += records, next_offset - records;
    int unlike = records < 1 || (f && f->slots && (bytes != f->bytes || records != f->records));
    c->error = !f ? UNKNOWN : unlike ? INVALID : f->slots - f->whole >= OPEN ? TIMED_OUT : 0;
    if (c->error) return -1;
    if (!f->slots) f->bytes = bytes, f->records = records, f->lap = retain > bytes ? retain / bytes : 1;
    c->file = f, c->slot = f->slots++, c->at = c->slot % f->lap * bytes;
    for (; f->space < c->at + bytes; f->space += STEP)
        if (fallocate(f->fd, 0, f->space, STEP) && errno != EOPNOTSUPP) die("fallocate");
    return c->slot * records;
}
static void release(struct conn *c, int whole) { /* the last slot, if not whole, is given out again */
    struct file *f = c->file;
    pthread_mutex_lock(&lock);
    if (!whole && c->slot + 1 == f->slots) f->slots--;
    else f->done[c->slot % OPEN] = 1;
    for (; f->whole < f->slots && f->done[f->whole % OPEN]; f->whole++) f->done[f->whole % OPEN] = 0;
    pthread_mutex_unlock(&lock), c->file = NULL;
}
static int send_answers(struct conn *c, size_t *budget) { /* as far as socket and budget allow */
    for (ssize_t n = 1; c->writable && n >= 0 && (c->queued || (c->body_left && *budget));) {
        size_t rest = c->queued - c->sent, most = MIN(c->body_left, *budget);
        n = rest ? send(c->fd, c->out + c->sent, rest, MSG_NOSIGNAL | (c->body_left ? MSG_MORE : 0))
                 : sendfile(c->fd, c->body_fd, &c->body_at, most);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
        if (n < 0) c->writable = 0;
        else if (!rest) c->body_left -= n, *budget -= n;
        else if ((c->sent += n) == c->queued) c->sent = c->queued = 0;
    }
    return 0;
}
static void feed(struct conn *c, const uint8_t *p, size_t n) { /* n more bytes of the batch */
    size_t past = MIN(n, c->crc_skip);
    if (check) c->crc = crc32c(c->crc, p + past, n - past), c->crc_skip -= past;
    if (c->file && pwrite(c->file->fd, p, n, c->at) != (ssize_t)n) die("pwrite");
    c->at += n, c->left -= n;
    if (c->left) return; /* else it is whole, and answered */
    if (check && c->crc != c->crc_want) c->error = CORRUPT;
    if (c->file) release(c, !c->error);
    uint8_t *error = c->ack + c->ack_len - ACK_TAIL;
    if (c->error) put(&error, c->error, 2), put(&error, -1, 8);
    if (c->acks) memcpy(c->out + c->queued, c->ack, c->ack_len), c->queued += c->ack_len;
}
static int key_length(struct cursor *h) { /* 0 if it is not one partition of one topic */
    const uint8_t *key = h->p;
    int topics = get(h, 4), n = get(h, 2), partitions = (skip(h, n), get(h, 4));
    skip(h, 4);
    return h->bad || topics != 1 || partitions != 1 || n < 1 || n > TOPIC_MAX ? 0 : h->p - key;
}
static int produce(struct conn *c, struct cursor *h, const uint8_t *correlation) { /* up to the batch */
    skip(h, get(h, 2)), c->acks = get(h, 2);
    const uint8_t *key = (skip(h, 4), h->p);
    int n = key_length(h), bytes = get(h, 4);
    uint8_t *batch = (uint8_t *)skip(h, BATCH_HEAD), *p = c->ack + 4;
    if (h->bad || !n || bytes < BATCH_HEAD) return -1;
    c->left = bytes, c->error = c->crc = 0, c->crc_skip = CRC_FROM, c->crc_want = number(batch + CRC_AT, 4);
    pthread_mutex_lock(&lock);
    int64_t offset = reserve(c, append ? find(key, n, 1) : NULL, bytes, number(batch + COUNT_AT, 4));
    pthread_mutex_unlock(&lock), h->p = batch, put(&batch, offset, 8);
    memcpy(p, correlation, 4), memcpy(p + 4, key, n), p += 4 + n, put(&p, c->error, 2), put(&p, offset, 8);
    put(&p, -1, 8), put(&p, -1, 8), put(&p, 0, 4), put(&p, -1, 2), put(&p, 0, 4), c->ack_len = p - c->ack;
    return p = c->ack, put(&p, c->ack_len - 4, 4), 0;
}
static int fetch(struct conn *c, struct cursor *h, const uint8_t *correlation) {
    const uint8_t *key = (skip(h, 25), h->p);
    int n = key_length(h), error = UNKNOWN;
    int64_t offset = (skip(h, 4), get(h, 8)), bytes_max = (skip(h, 8), get(h, 4)), end = 0, start = 0;
    if (h->bad || !n) return -1;
    pthread_mutex_lock(&lock);
    struct file *f = append ? find(key, n, 0) : NULL;
    if (f && f->slots) {
        int64_t slot = offset / f->records, some = bytes_max / f->bytes, to_end = f->whole - slot;
        end = f->whole * f->records, start = f->slots > f->lap ? (f->slots - f->lap) * f->records : 0;
        error = offset < start || to_end < 0 ? OUT_OF_RANGE : 0;
        some = MIN(MIN(some < 1 ? 1 : some, to_end), f->lap - slot % f->lap);
        c->body_fd = f->fd, c->body_left = error ? 0 : some * f->bytes, c->body_at = slot % f->lap * f->bytes;
    }
    pthread_mutex_unlock(&lock);
    uint8_t *head = c->out + c->queued, *p = head + 8;
    memcpy(head + 4, correlation, 4), put(&p, 0, 4), put(&p, 0, 2), put(&p, 0, 4), memcpy(p, key, n), p += n;
    put(&p, error, 2), put(&p, end, 8), put(&p, end, 8), put(&p, start, 8), put(&p, -1, 4), put(&p, -1, 4);
    put(&p, c->body_left, 4), put(&head, p - head - 4 + c->body_left, 4);
    return c->queued = p - c->out, 0;
}
/* Returns how many bytes of a request are done with; 0 if more must come first, -1 to close. */
static int64_t request(struct conn *c, const uint8_t *p, size_t n) {
    if (n < 8) return 0;
    size_t all = number(p, 4) + 4, kind = number(p + 4, 4);
    if (all < 18 || all > FRAME_MAX || (kind == FETCH_11 ? all > HEAD_MAX : kind != PRODUCE_8)) return -1;
    if (n < MIN(all, HEAD_MAX)) return 0;
    struct cursor h = {p + 12, p + MIN(n, all), 0};
    skip(&h, get(&h, 2));
    if (kind == FETCH_11) return fetch(c, &h, p + 8) ? -1 : (int64_t)all;
    return produce(c, &h, p + 8) || h.p - p + c->left != all ? -1 : h.p - p;
}
static int is_full(struct conn *c) { return c->body_left || c->queued > OUT_MAX - ANSWER_MAX; }
/* Returns whether there is more to do at once, and -1 if the connection is to be closed. */
static int turn(struct conn *c) {
    size_t budget = CHUNK, have = c->held_len, used = 0;
    int64_t n = 1;
    if (send_answers(c, &budget)) return -1;
    if (c->queued || c->body_left) return c->writable;
    if (have) memcpy(in, c->held, have);
    if (c->readable && have < HEAD_MAX) {
        n = recv(c->fd, in + have, CHUNK, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
        if (n < CHUNK && !c->hangup) c->readable = 0; /* after a hang-up only 0 is the end */
        have += n > 0 ? n : 0;
    }
    for (n = 1; n && used < have && budget && !is_full(c); used += n) {
        if (!c->left) n = request(c, in + used, have - used);
        else feed(c, in + used, n = MIN(have - used, c->left));
        if (n < 0 || (is_full(c) && send_answers(c, &budget))) return -1;
    }
    if (send_answers(c, &budget)) return -1;
    if (have - used > c->held_len) c->held = realloc(c->held, have - used);
    if ((c->held_len = have - used)) memcpy(c->held, in + used, have - used);
    return c->queued || c->body_left ? c->writable : c->readable || (n && used < have);
}
static void *loop(void *ep) {
    struct epoll_event events[64];
    struct conn *ready = NULL, *c, *next;
    for (int r, n; (n = epoll_wait(*(int *)ep, events, 64, ready ? 0 : -1)) >= 0 || errno == EINTR;) {
        for (int i = 0; i < n; i++) {
            uint32_t e = events[i].events;
            c = events[i].data.ptr, c->writable |= e & EPOLLOUT, c->readable |= e & ~EPOLLOUT;
            c->hangup |= e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
            if (!c->listed) c->listed = 1, c->next = ready, ready = c;
        }
        for (c = ready, ready = NULL; c; c = next) {
            next = c->next, r = turn(c), c->listed = r > 0;
            if (r > 0) c->next = ready, ready = c;
            if (r >= 0) continue;
            if (c->file) release(c, 0);
            close(c->fd), free(c->held), free(c);
        }
    }
    return die("epoll_wait"), NULL;
}
static void serve(int listener, int signals) { /* deals the connections out */
    static int ep[THREADS_MAX]; /* outlives this function, as the threads do */
    pthread_t id;
    for (int i = 0; i < threads; i++)
        if ((ep[i] = epoll_create1(0)) < 0 || pthread_create(&id, NULL, loop, &ep[i])) die("thread");
    for (long accepted = 0;;) {
        struct pollfd from[3] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}, {0, POLLIN, 0}};
        if (poll(from, 3, -1) < 0 || from[1].revents || (from[2].revents && read(0, in, 1) <= 0)) return;
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) continue; /* none there, or gone already */
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
        setsockopt(c->fd = fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (epoll_ctl(ep[accepted++ % threads], EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}
int main(int argc, char **argv) {
    static const char *names[] = {"-port", "-threads", "-crc", "-append", "-retain", "-dir"};
    long *values[] = {&port, &threads, &check, &append, &retain};
    for (int i = 1, k = 5; i < argc; i += 2, k = 5) {
        while (k >= 0 && strcmp(argv[i], names[k])) k--;
        if (i + 1 == argc || k < 0) errno = EINVAL, die(argv[i]);
        if (k < 5) *values[k] = atol(argv[i + 1]);
        else if (chdir(argv[i + 1])) die(argv[i + 1]);
    }
    if (threads < 1 || threads > THREADS_MAX) errno = ERANGE, die("-threads, 1 to 64");
    sigset_t ends; /* blocked in all threads, read from a descriptor by this one */
    sigemptyset(&ends), sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    struct sockaddr_in at = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&at, n) || listen(fd, 4096) || getsockname(fd, (void *)&at, &n)) die("bind");
    printf("listening %d\n", ntohs(at.sin_port)), fflush(stdout);
    serve(fd, signalfd(-1, &ends, SFD_CLOEXEC));
    printf("cpu_seconds %.6f\n", (double)clock() / CLOCKS_PER_SEC), fflush(stdout), _exit(0);
}
