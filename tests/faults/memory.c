// Memory. operator new and std::vector ask malloc(), too.
#include "fault.h"

#include <link.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t boundary, size_t size);

// libedit and the libraries that it uses do not look whether there was memory.
static struct { char *begin, *end; } careless[4];
static int careless_count;

static int note_careless(struct dl_phdr_info* library, size_t size, void* unused) {
  (void)size, (void)unused;
  const char* const name = library->dlpi_name;
  if (strstr(name, "/libedit.") == NULL && strstr(name, "/libtinfo.") == NULL &&
      strstr(name, "/libbsd.") == NULL) {
    return 0;
  }
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &library->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0 || careless_count == 4) continue;
    careless[careless_count].begin = (char*)library->dlpi_addr + part->p_vaddr;
    careless[careless_count].end = careless[careless_count].begin + part->p_memsz;
    ++careless_count;
  }
  return 0;
}

void find_careless_libraries(void) { dl_iterate_phdr(note_careless, NULL); }

// As fault(); for what `caller` asks for.
static int memory_fault(enum Call call, char* caller) {
  for (int i = 0; i < careless_count; ++i) {
    if (caller >= careless[i].begin && caller < careless[i].end) return 0;
  }
  return fault(call);
}
#define MEMORY_FAULT(call) memory_fault(call, (char*)__builtin_return_address(0))

void* malloc(size_t size) {
  if (MEMORY_FAULT(call_malloc) == 0) return __libc_malloc(size);
  errno = ENOMEM;
  return NULL;
}

char* strdup(const char* text) {
  const size_t size = strlen(text) + 1;
  if (MEMORY_FAULT(call_malloc) == 0) {
    char* const copy = __libc_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
  }
  errno = ENOMEM;
  return NULL;
}

void* calloc(size_t count, size_t size) {
  if (MEMORY_FAULT(call_calloc) == 0) return __libc_calloc(count, size);
  errno = ENOMEM;
  return NULL;
}

void* realloc(void* old, size_t size) {
  if (MEMORY_FAULT(call_realloc) == 0) return __libc_realloc(old, size);
  errno = ENOMEM;
  return NULL;
}

static void* aligned(size_t boundary, size_t size) {
  if (fault(call_memalign) == 0) return __libc_memalign(boundary, size);
  errno = ENOMEM;
  return NULL;
}
void* memalign(size_t boundary, size_t size) { return aligned(boundary, size); }
void* aligned_alloc(size_t boundary, size_t size) { return aligned(boundary, size); }
int posix_memalign(void** memory, size_t boundary, size_t size) {
  void* const got = aligned(boundary, size);
  if (got == NULL) return ENOMEM;
  *memory = got;
  return 0;
}

void* mmap(void* place, size_t size, int protection, int flags, int file, off_t offset) {
  const int problem = fault(call_mmap);
  if (problem > 0) {
    errno = problem;
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mmap, place, size, protection, flags, file, offset);
}
void* mmap64(void* place, size_t size, int protection, int flags, int file, off_t offset) {
  return mmap(place, size, protection, flags, file, offset);
}

void* mremap(void* old, size_t old_size, size_t new_size, int flags, ...) {
  va_list more;
  va_start(more, flags);
  void* const place = va_arg(more, void*);
  va_end(more);
  const int problem = fault(call_mremap);
  if (problem > 0) {
    errno = problem;
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mremap, old, old_size, new_size, flags, place);
}
