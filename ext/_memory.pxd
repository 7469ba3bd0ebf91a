"""Memory for large results."""

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/mman.h>

    static void huxi_expect_use(void *start, size_t size) {
    #ifdef MADV_HUGEPAGE
        const uintptr_t page = 65536; /* the largest of any kernel */
        const uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
        const uintptr_t end = ((uintptr_t)start + size) & ~(page - 1);
        if (size >= 4u << 20) madvise((void *)first, end - first, MADV_HUGEPAGE);
    #endif
    }
    """
    # Fresh memory is zeroed page by page as it is first written, which costs more than the arithmetic: asks for large
    # pages where `size` bytes are worth it. Nothing is promised, and nothing fails.
    void expect_use "huxi_expect_use"(void *start, size_t size) noexcept nogil
