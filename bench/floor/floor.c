/*
 * floor: the least CPU that a request can cost a program which speaks to
 * clients over TCP. One thread, one epoll; for each readable connection one
 * read and one write, whatever the number of requests in it. It parses
 * nothing, keeps nothing and asks nobody.
 *
 *   floor PORT KINDS
 *
 * KINDS is a file of records, one for each kind of request that will come:
 *
 *   REQUEST-LENGTH RESPONSE-LENGTH newline, the first 4 bytes of the request,
 *   the response
 *
 * A request is known by its first 4 bytes, and ends after the length of its
 * kind. Anything else closes the connection.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEAD = 4, KINDS = 16, EVENTS = 512, PIECES = 64, READ = 64 * 1024 };

static struct kind {
	char head[HEAD];
	size_t request, response;
	char *text;
} kinds[KINDS];
static int nkinds;

struct client {
	int fd;
	int writing;  /* the poller looks for room in the socket */
	size_t left;  /* bytes of the request that have not come */
	size_t heads; /* bytes of its head that have come */
	char head[HEAD];
	uint8_t *owed; /* kinds of the responses to write */
	size_t first, count, room;
	size_t sent; /* bytes of the first one that are written */
};

static int poller;
static char input[READ];

static void die(const char *what)
{
	fprintf(stderr, "floor: cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static void load(const char *file)
{
	FILE *f = fopen(file, "rb");
	if (!f)
		die("open the kinds");
	struct kind k;
	while (nkinds < KINDS && fscanf(f, "%zu %zu", &k.request, &k.response) == 2) {
		k.text = malloc(k.response);
		if (!k.text || fgetc(f) != '\n' || fread(k.head, HEAD, 1, f) != 1 ||
		    fread(k.text, k.response, 1, f) != 1 || k.request < HEAD)
			die("read the kinds");
		kinds[nkinds++] = k;
	}
	fclose(f);
}

static void watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};
	if (epoll_ctl(poller, op, c->fd, &e) < 0)
		die("watch a connection");
}

static void leave(struct client *c)
{
	close(c->fd);
	free(c->owed);
	free(c);
}

static void owe(struct client *c, int kind)
{
	if (c->first + c->count == c->room) {
		memmove(c->owed, c->owed + c->first, c->count);
		c->first = 0;
		if (c->count == c->room) {
			c->room = c->room ? 2 * c->room : 64;
			c->owed = realloc(c->owed, c->room);
			if (!c->owed)
				die("get memory");
		}
	}
	c->owed[c->first + c->count++] = kind;
}

/* begin finds out what request has begun; -1 if no such thing is known. */
static int begin(struct client *c)
{
	for (int i = 0; i < nkinds; i++)
		if (memcmp(kinds[i].head, c->head, HEAD) == 0) {
			c->left = kinds[i].request - HEAD;
			owe(c, i);
			return 0;
		}
	return -1;
}

/*
 * count goes over what has come. A response is owed as soon as its request has
 * begun, and written when it has come whole: see flush.
 */
static int count(struct client *c, const char *b, size_t n)
{
	while (n > 0) {
		size_t step;
		if (c->left > 0) {
			step = n < c->left ? n : c->left;
			c->left -= step;
		} else {
			step = n < HEAD - c->heads ? n : HEAD - c->heads;
			memcpy(c->head + c->heads, b, step);
			c->heads += step;
			if (c->heads == HEAD) {
				c->heads = 0;
				if (begin(c) < 0)
					return -1;
			}
		}
		b += step;
		n -= step;
	}
	return 0;
}

/* flush writes once what is owed to the requests that have come whole. */
static int flush(struct client *c)
{
	size_t ready = c->count - (c->left > 0);
	struct iovec v[PIECES];
	int n = 0;
	size_t skip = c->sent, all = 0;
	for (; n < PIECES && (size_t)n < ready; n++, skip = 0) {
		struct kind *k = &kinds[c->owed[c->first + n]];
		v[n].iov_base = k->text + skip;
		v[n].iov_len = k->response - skip;
		all += v[n].iov_len;
	}
	if (n > 0) {
		ssize_t did = n == 1 ? write(c->fd, v[0].iov_base, v[0].iov_len) : writev(c->fd, v, n);
		if (did < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		size_t got = did < 0 ? 0 : (size_t)did;
		for (int i = 0; i < n && got >= v[i].iov_len; i++) {
			got -= v[i].iov_len;
			c->sent = 0;
			c->first++;
			c->count--;
		}
		c->sent += got;
	}
	int more = c->count > (size_t)(c->left > 0);
	if (more != c->writing) {
		c->writing = more;
		watch(c, EPOLL_CTL_MOD, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
	return 0;
}

static void ready(struct client *c, uint32_t events)
{
	if (events & ~EPOLLOUT) {
		ssize_t n = read(c->fd, input, sizeof input);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || (n > 0 && count(c, input, n) < 0)) {
			leave(c);
			return;
		}
	}
	if (flush(c) < 0)
		leave(c);
}

static void greet(int listener)
{
	int fd, one = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *c = calloc(1, sizeof *c);
		if (!c)
			die("get memory");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c->fd = fd;
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: floor PORT KINDS\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a client that leaves is no reason to end */
	load(argv[2]);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1024) < 0)
		die("listen");
	poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e) < 0)
		die("make a poller");
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			die("wait");
		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				greet(listener);
			else
				ready(events[i].data.ptr, events[i].events);
		}
	}
}
