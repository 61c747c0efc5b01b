// The ceiling of reading a file that is in the page cache: every byte is read once, 256 KiB at a time, and nothing is computed.
//   gcc -O3 -march=native -pthread readfile.c; FOURFOLD_FILE=x.npy ./readfile [threads] [passes]
#include "passes.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 << 10 };
static int file;
static size_t bytes;
static char *buffers[THREADS_MAX];

static void work(const struct worker *w) {
  for (size_t piece = w->from; piece < w->to; piece++) {
    const size_t at = piece * PIECE;
    const size_t want = bytes - at < PIECE ? bytes - at : PIECE;
    if (pread(file, buffers[w->index], want, (off_t)at) != (ssize_t)want) {
      perror("pread");
      exit(1);
    }
  }
}

static double total(void) { return (double)bytes; }

int main(int argc, char **argv) {
  const struct options o = read_options(argc, argv);
  const char *path = getenv("FOURFOLD_FILE");
  struct stat info;
  file = path ? open(path, O_RDONLY) : -1;
  if (file < 0 || fstat(file, &info)) {
    perror("FOURFOLD_FILE");
    return 1;
  }
  bytes = (size_t)info.st_size;
  for (int t = 0; t < o.threads; t++) {
    buffers[t] = map_pages(PIECE, o.small);
    memset(buffers[t], 1, PIECE);
  }
  run_passes("readfile", o, (bytes + PIECE - 1) / PIECE, bytes);
}
