# Completions for bash: the program says what may stand where the cursor is.
#
#   eval "$(aira-cli completion bash)"
_aira_cli() {
  local word glue='' line words=()
  # Words that readline has broken at = : @ are put together again.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ $word == [=:@]* && ${#words[@]} -gt 0 ]]; then
      words[-1]+=$word
      glue=yes
    elif [[ -n $glue ]]; then
      words[-1]+=$word
      glue=''
    else
      words+=("$word")
    fi
  done
  word=${words[-1]}
  [[ $word != --*=* ]] || word=${word#*=}
  while IFS= read -r line; do
    case $line in
      :files) compopt -o default ;;
      :folders) compopt -o plusdirs ;;
      "$word"*) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <("${1/#\~\//$HOME/}" completion bash -- "${words[@]}" 2>/dev/null)
}
complete -F _aira_cli aira-cli
