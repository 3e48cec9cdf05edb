// The files of tools/mini/model as data of the program, and a table of them:
// { const char* name; const void* data; size_t size; }, ended by a null name. CMake writes the list
// builtin_files.inc (one line `embed "NAME"` per file) and gives the folder to the assembler.
        .macro  embed name
        .section .rodata.aira_builtin, "a"
        .balign 64
1:      .incbin "\name"
2:
        .balign 8
3:      .asciz  "\name"
        .section .data.rel.ro.aira_builtin, "aw"
        .quad   3b, 1b, 2b - 1b
        .endm

        .section .data.rel.ro.aira_builtin, "aw"
        .balign 8
        .globl  aira_builtin_files
        .type   aira_builtin_files, %object
aira_builtin_files:
        .include "builtin_files.inc"
        .section .data.rel.ro.aira_builtin, "aw"
        .quad   0, 0, 0
        .size   aira_builtin_files, . - aira_builtin_files

        .section .note.GNU-stack, "", %progbits
