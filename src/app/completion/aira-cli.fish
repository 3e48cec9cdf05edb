# Completions for fish: the program says what may stand where the cursor is.
#
#   aira-cli completion fish | source
function __aira_cli_complete
    set -l words (commandline -opc)
    set -l token (commandline -ct)
    set -l program (string replace -r '^~/' $HOME/ -- $words[1])
    set -l option (string match -r '^--[^=]*=' -- $token; or echo)
    set -l value (string replace -r '^--[^=]*=' '' -- $token)
    for line in ($program completion fish -- $words[2..] $token 2>/dev/null)
        switch $line
            case :files
                printf '%s\n' $option(__fish_complete_path $value)
            case :folders
                printf '%s\n' $option(__fish_complete_directories $value)
            case '*'
                printf '%s\n' $option$line
        end
    end
end
complete -c aira-cli -f -k -a '(__aira_cli_complete)'
