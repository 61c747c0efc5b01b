// Timed passes of several threads over one array: the command line, the threads and the output of a native ceiling.
//   ./NAME [threads] [passes] [small]
// Prints JSON. With passes = 0 it serves: one pass for each line on stdin, answered by its seconds, so that another
// program can interleave its own runs with these. What a pass computes is not here: a program defines `work` and `total`.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS_MAX = 64 };

// One thread's share: units from … to − 1.
struct worker { pthread_t thread; int index; size_t from, to; };

static void work(const struct worker *w);
// The result of all shares of a pass.
static double total(void);

struct options { int threads, passes, small; };

static struct options read_options(int argc, char **argv) {
  const struct options o = {
    .threads = argc > 1 ? atoi(argv[1]) : 1,
    .passes = argc > 2 ? atoi(argv[2]) : 31,
    .small = argc > 3 && !strcmp(argv[3], "small"), // NumPy asks for huge pages, V8 does not: both are worth a look
  };
  if (o.threads >= 1 && o.threads <= THREADS_MAX && o.passes >= 0) return o;
  fprintf(stderr, "usage: %s [threads 1..%d] [passes] [small]\n", argv[0], THREADS_MAX);
  exit(1);
}

static void *map_pages(size_t bytes, int small) {
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  if (!small) madvise(pages, bytes, MADV_HUGEPAGE);
  return pages;
}

static pthread_barrier_t start, finish;
static int over;
static double result;

static void *loop(void *arg) {
  for (;;) {
    pthread_barrier_wait(&start);
    if (over) return NULL;
    work(arg);
    pthread_barrier_wait(&finish);
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static double pass(const struct worker *mine) {
  const double from = seconds();
  pthread_barrier_wait(&start);
  work(mine);
  pthread_barrier_wait(&finish);
  result = total();
  return seconds() - from;
}

static int ascending(const void *p, const void *q) {
  const double x = *(const double *)p, y = *(const double *)q;
  return (x > y) - (x < y);
}

// Shares `units` among the threads, and passes over them as the options say. `bytes` is what one pass reads.
static void run_passes(const char *name, struct options o, size_t units, size_t bytes) {
  const int threads = o.threads, passes = o.passes;
  struct worker w[THREADS_MAX];
  pthread_barrier_init(&start, NULL, threads);
  pthread_barrier_init(&finish, NULL, threads);
  for (int t = 0; t < threads; t++) {
    w[t].index = t;
    w[t].from = units * t / threads;
    w[t].to = units * (t + 1) / threads;
    if (t) pthread_create(&w[t].thread, NULL, loop, &w[t]);
  }
  pass(&w[0]); // page tables, caches, clock
  if (passes == 0) {
    char line[64];
    printf("{\"bytes\":%zu,\"threads\":%d,\"result\":%.17g}\n", bytes, threads, result);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
      printf("%.9f\n", pass(&w[0]));
      fflush(stdout);
    }
  } else {
    double *times = malloc(passes * sizeof(double));
    for (int i = 0; i < passes; i++) times[i] = pass(&w[0]);
    qsort(times, passes, sizeof(double), ascending);
    printf("{\"name\":\"%s\",\"bytes\":%zu,\"threads\":%d,\"passes\":%d,\"min\":%.9f,\"median\":%.9f,\"result\":%.17g}\n", name, bytes,
           threads, passes, times[0], times[passes / 2], result);
    free(times);
  }
  over = 1;
  pthread_barrier_wait(&start);
  for (int t = 1; t < threads; t++) pthread_join(w[t].thread, NULL);
}
